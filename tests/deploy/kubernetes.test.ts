import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { alertDocuments, readAlerts } from '../../monitoring/prometheusRule.ts';
import { type Installation, itRunsAGateway, settingsFrom } from '../support/deploy/gatewayObjects.ts';
import {
  built,
  filesIn,
  KUBERNETES,
  KUSTOMIZE,
  OVERLAYS,
  readKustomization,
  settingsOf,
} from '../support/deploy/kustomize.ts';
import {
  invalidities,
  type Manifest,
  misspellings,
  RELEASES,
  readManifests,
  theOne,
} from '../support/deploy/manifests.ts';
import { startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { freePort } from '../support/stores/redis.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDERS = ['base', ...OVERLAYS.map((overlay) => `overlays/${overlay}`)];
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

const manifestsOf = (folder: string) =>
  resourcesOf(folder).flatMap((file) => readManifests(`${KUBERNETES}/${folder}/${file}`));
const whole = FOLDERS.flatMap(manifestsOf);
/** Patches that are parts of a manifest; the others are lists of operations. */
const parts = FOLDERS.flatMap((folder) =>
  (readKustomization(folder).patches ?? [])
    .filter(({ target }) => !target)
    .flatMap(({ path }) => readManifests(`${KUBERNETES}/${folder}/${path}`)),
);

describe.each(FOLDERS)('deploy/kubernetes/%s', (folder) => {
  const { resources, patches = [], configMapGenerator = [], images = [] } = readKustomization(folder);

  it('uses every file that it has, and has every file that it uses', () => {
    const used = [
      ...resources.filter((path) => !path.startsWith('../')),
      ...patches.map(({ path }) => path),
      ...configMapGenerator.flatMap(({ envs }) => envs),
    ];
    expect(used.sort()).toEqual(filesIn(folder).sort());
  });

  it('runs the version of this project', () => {
    for (const { newTag } of images) expect(newTag).toBe(version);
  });
});

describe('the objects under deploy/kubernetes', () => {
  it.each(whole)('$kind $metadata.name is valid', async (manifest) => {
    expect(await invalidities(manifest)).toBeUndefined();
  });

  it('have no field that the oldest or the newest Kubernetes does not know', async () => {
    expect(await misspellings(whole)).toBe('');
    expect(await misspellings(parts.map(withoutDirectives), { partial: true })).toBe('');
  }, 60_000);

  it.each(RELEASES)(
    'are really compared with the %s Kubernetes',
    async (release) => {
      const misspelt = { ...theOne(whole, 'Service', 'gateway'), spec: { selektor: {} } };
      expect(await misspellings([misspelt], { releases: [release] })).toContain('selektor');
      expect(await misspellings([misspelt], { releases: [release], partial: true })).toContain('selektor');
    },
    60_000,
  );

  it('may not have a field that only the newest Kubernetes knows', async () => {
    const young = structuredClone(theOne(whole, 'Deployment'));
    // Since 1.34.
    young.spec.template.spec.hostnameOverride = 'gateway';
    expect(await misspellings([young], { releases: ['newest'] })).toBe('');
    expect(await misspellings([young])).toContain('hostnameOverride');
  }, 60_000);

  describe('together', () => itRunsAGateway(() => ({ objects: whole, settings: settingsOf('dev') })));

  it.each(Object.entries(alertDocuments(readAlerts())))(
    '%s has the alerts: if not, run npm run docs',
    (path, text) => {
      expect(readFileSync(join(ROOT, path), 'utf8')).toBe(text);
    },
  );

  it('have every alert in their PrometheusRule', () => {
    const { groups } = parse(readAlerts());
    expect(theOne(whole, 'PrometheusRule').spec.groups).toEqual(groups);
    expect(groups.length).toBeGreaterThan(1);
  });

  it('call the job as alerts and dashboards do, and keep `instance` for replicas', () => {
    const [endpoint] = theOne(whole, 'ServiceMonitor').spec.endpoints;
    const [job] = parse(readFileSync(join(ROOT, 'monitoring/prometheus.yml'), 'utf8')).scrape_configs;
    expect(endpoint.honorLabels).toBe(job.honor_labels);
    expect(endpoint.relabelings).toContainEqual({ targetLabel: 'job', replacement: job.job_name });
    expect(endpoint.relabelings.map(({ targetLabel }: { targetLabel: string }) => targetLabel)).toContain(
      job.relabel_configs[0].target_label,
    );
  });

  it('let gateways connect to DNS, the namespace, Redis and the collector alone', () => {
    const { egress } = theOne(whole, 'NetworkPolicy', 'gateway-egress').spec;
    const ports = egress.map(({ ports = [] }: { ports?: { port: number }[] }) =>
      ports.map(({ port }) => port),
    );
    expect(ports).toEqual([[53, 53], [], [6379], [4318]]);
    for (const { to } of egress) expect(to).not.toEqual([]);
  });

  it('name one Secret for Redis, and keep its address out of the settings', () => {
    const [{ env }] = theOne(
      parts.filter(({ spec }) => !spec.replicas),
      'Deployment',
    ).spec.template.spec.containers;
    expect(env).toEqual([
      { name: 'REDIS_URL', valueFrom: { secretKeyRef: { name: 'gateway-redis', key: 'url' } } },
    ]);
    for (const overlay of OVERLAYS)
      expect(
        Object.keys(settingsOf(overlay)).filter((name) => /^REDIS_(URL|HOST|NODES|PASSWORD)/.test(name)),
      ).toEqual([]);
  });
});

describe('a gateway with the settings of overlays/prod', () => {
  it('starts without Redis and stays up, so that its pod does not crash-loop', async () => {
    const { JWT_SECRET_FILE, SERVICE_DISCOVERY_URL, ...settings } = settingsOf('prod');
    const nobody = await freePort();
    const env = {
      ...settings,
      REDIS_URL: `redis://127.0.0.1:${nobody}`,
      SERVICE_DISCOVERY_URL: `http://127.0.0.1:${nobody}`,
    };
    await using gateway = await startGatewayProcess({ services: { '/budgeting': [] }, env });
    const alive = await fetch(`${gateway.internal}/healthz`);
    expect(alive.status).toBe(200);
    const { status } = await fetch(gateway.url('external', '/budgeting/x'), {
      headers: { Authorization: 'Bearer x.y.z' },
    });
    expect(status).toBe(401);
  });
});

// `kubectl kustomize` asks no cluster.
const whereBuilt = KUSTOMIZE ? describe : describe.skip;
const without = KUSTOMIZE ? '' : ' (skipped: neither kubectl nor kustomize is on the PATH)';

whereBuilt.each(OVERLAYS)(`the overlay %s, built${without}`, (overlay) => {
  let installation: Installation;

  beforeAll(async () => {
    const objects = await built(overlay);
    installation = { objects, settings: configMapOf(objects).data };
  });

  itRunsAGateway(() => installation);

  it('is valid', async () => {
    for (const object of installation.objects) expect(await invalidities(object)).toBeUndefined();
    expect(await misspellings(installation.objects)).toBe('');
  }, 60_000);

  it('is in one namespace, whose pods are restricted', () => {
    const { metadata } = theOne(installation.objects, 'Namespace');
    expect(metadata).toMatchObject({ labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } });
    for (const object of installation.objects)
      if (object.kind !== 'Namespace') expect(object.metadata.namespace).toBe(metadata.name);
  });

  it('gets the settings of its files, and an image with a version', () => {
    expect(installation.settings).toEqual(settingsOf(overlay));
    const [container] = theOne(installation.objects, 'Deployment').spec.template.spec.containers;
    expect(container.envFrom).toEqual([
      { configMapRef: { name: configMapOf(installation.objects).metadata.name } },
    ]);
    expect(container.image).toMatch(new RegExp(`/?pad-gateway:${version.replaceAll('.', '\\.')}$`));
  });

  it('starts new pods when a setting has changed', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'kubernetes-'));
    copies.push(copy);
    cpSync(join(ROOT, KUBERNETES), copy, { recursive: true });
    appendFileSync(join(copy, 'base/settings.env'), 'LOG_LEVEL=warn\n');
    const changed = await built(overlay, copy);
    const podsOf = (objects: readonly Manifest[]) => theOne(objects, 'Deployment').spec.template;
    expect(configMapOf(changed).data).toEqual({ ...installation.settings, LOG_LEVEL: 'warn' });
    expect(podsOf(changed)).not.toEqual(podsOf(installation.objects));
    expect(podsOf(await built(overlay))).toEqual(podsOf(installation.objects));
  }, 60_000);
});

whereBuilt(`the overlay dev${without}`, () => {
  it('is one gateway that may write to its own disk, and nothing that a small cluster lacks', async () => {
    const objects = await built('dev');
    const { replicas, strategy, template } = theOne(objects, 'Deployment').spec;
    expect({ replicas, strategy }).toEqual({ replicas: 1, strategy: { type: 'Recreate' } });
    const [{ volumeMounts, env = [] }] = template.spec.containers;
    expect(volumeMounts).toContainEqual({ name: 'data', mountPath: '/data' });
    expect(env).toEqual([]);
    expect(settingsFrom(settingsOf('dev')).redisUrl).toBeUndefined();
    expect(new Set(objects.map(({ kind }) => kind))).toEqual(
      new Set(['Namespace', 'ServiceAccount', 'ConfigMap', 'Service', 'Deployment', 'NetworkPolicy']),
    );
  });
});

whereBuilt(`the overlay prod${without}`, () => {
  it('has what the base lacks', async () => {
    const objects = await built('prod');
    const kinds = [
      'Ingress',
      'HorizontalPodAutoscaler',
      'PodDisruptionBudget',
      'ServiceMonitor',
      'PrometheusRule',
    ];
    for (const kind of kinds) expect(theOne(objects, kind).metadata.name).toBe('gateway');
    const { topologySpreadConstraints } = theOne(objects, 'Deployment').spec.template.spec;
    expect(topologySpreadConstraints.map(({ topologyKey }: { topologyKey: string }) => topologyKey)).toEqual([
      'kubernetes.io/hostname',
      'topology.kubernetes.io/zone',
    ]);
    const { backend } = theOne(objects, 'Ingress').spec.rules[0].http.paths[0];
    expect(backend.service).toEqual({ name: 'gateway', port: { name: 'http' } });
  });
});

const copies: string[] = [];
afterAll(() => {
  for (const copy of copies) rmSync(copy, { recursive: true });
});

describe('the pages', () => {
  const pages = [
    'README.md',
    'docs/operations.md',
    'docs/probes.md',
    'docs/kubernetes.md',
    'docs/troubleshooting.md',
  ];
  const text = pages.map((path) => readFileSync(join(ROOT, path), 'utf8')).join('\n');

  it('name only files and folders that there are', () => {
    const named = [...text.matchAll(/(?<!tests\/)\bdeploy\/[\w./-]*\w/g)].map(([path]) => path);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('name only objects that there are', () => {
    const named = [...text.matchAll(/\b(deployment)\/([\w-]+)(?:\s+([\w-]+)=)?/g)];
    expect(named.length).toBeGreaterThan(1);
    const { metadata, spec } = theOne(whole, 'Deployment');
    const [container] = spec.template.spec.containers;
    for (const [, , name, image = container.name] of named)
      expect([name, image]).toEqual([metadata.name, container.name]);
  });
});

function resourcesOf(folder: string): string[] {
  return readKustomization(folder).resources.filter((path) => !path.startsWith('../'));
}

function configMapOf(objects: readonly Manifest[]): Manifest {
  return theOne(objects, 'ConfigMap');
}

/** Without what only Kustomize reads. */
function withoutDirectives(manifest: Manifest): Manifest {
  return JSON.parse(JSON.stringify(manifest, (key, value) => (key === '$patch' ? undefined : value)));
}
