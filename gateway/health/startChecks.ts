import type { Service } from '../../config/sections/services.ts';
import type { NewChecks, ReplicaChecksParts } from './replicaChecks.ts';

interface Checkable {
  readonly settings: Service;
  readonly replicas: { startChecks(newChecks: NewChecks | undefined): void };
}

/** Begins to check the replicas of all services that say so. Where none does, the modules for it are not loaded. */
export async function startChecks(services: readonly Checkable[], parts: ReplicaChecksParts): Promise<void> {
  const checked = services.filter(({ settings }) => settings.health);
  if (checked.length === 0) return;
  const { replicaChecks } = await import('./replicaChecks.ts');
  const checksOf = replicaChecks(parts);
  for (const { settings, replicas } of checked) replicas.startChecks(checksOf(settings));
}
