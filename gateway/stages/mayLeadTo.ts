import { leadsTo } from '../../config/sections/services.ts';
import type { Parts, ServiceParts } from '../wiring/parts.ts';

/** Whether requests to `path` can get to this service: routes that belong to none may lead from any path to any. */
export function mayLeadTo({ settings }: ServiceParts, path: string, { routes }: Parts['settings']): boolean {
  return routes.length > 0 || leadsTo(settings, path);
}
