import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { chartSchema } from '../../config/report/chartSchema.ts';
import { readAlerts } from '../../monitoring/prometheusRule.ts';
import { type Installation, itRunsAGateway, settingsFrom } from '../support/deploy/gatewayObjects.ts';
import {
  HELM,
  lint,
  PROD,
  pathsOf,
  readChart,
  readTemplates,
  refusals,
  rendered,
  type Values,
  valuesWith,
} from '../support/deploy/helm.ts';
import { built, KUSTOMIZE, settingsOf } from '../support/deploy/kustomize.ts';
import { invalidities, type Manifest, misspellings, theOne } from '../support/deploy/manifests.ts';

const ROOT = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

describe('the Helm chart', () => {
  const own = valuesWith();
  const templates = readTemplates().join('\n');

  it('has the version of this project, and asks for the oldest Kubernetes that is tested', () => {
    const { version: schemas } = JSON.parse(
      readFileSync(join(ROOT, 'node_modules/kubernetes-types/package.json'), 'utf8'),
    );
    expect(parse(readChart('Chart.yaml'))).toMatchObject({
      apiVersion: 'v2',
      version,
      appVersion: version,
      kubeVersion: `>=${schemas}-0`,
    });
  });

  it.each([undefined, PROD])('has a schema that accepts its values, and those of %s', (path) => {
    expect(refusals(valuesWith(path))).toEqual([]);
  });

  it.each<[string, (values: Values) => Values]>([
    ['an authority of the operator', changed('config', { NODE_EXTRA_CA_CERTS: '/run/secrets/gateway/ca' })],
    ["a size of V8's heap", changed('config', { NODE_OPTIONS: '--max-old-space-size=200' })],
    ['CPUs as a number', (values) => ({ ...values, resources: resources({ cpu: 2 }) })],
    ['no limit of CPU', (values) => ({ ...values, resources: resources({}) })],
  ])('has a schema that accepts %s', (_, change) => {
    expect(refusals(change(own))).toEqual([]);
  });

  it.each<[string, (values: Values) => Values, string]>([
    [
      'a setting that there is not',
      changed('config', { TRUSTED_PROXYS: '10.0.0.0/8' }),
      '/config must NOT have',
    ],
    [
      'a secret, which would end up in a ConfigMap',
      changed('config', { JWT_SECRET: 'x' }),
      '/config must NOT have',
    ],
    ['a password in a URL', changed('config', { REDIS_URL: 'redis://:x@redis' }), '/config must NOT have'],
    [
      'a setting that the chart sets itself',
      changed('config', { DRAIN_TIMEOUT: '1h' }),
      '/config must NOT have',
    ],
    [
      'a number, of which Helm could make 2e+07',
      changed('config', { MAX_BODY_BYTES: 2e7 }),
      'must be string',
    ],
    ['a misspelt value', changed('drain', { timeout: 3 }), '/drain must NOT have'],
    ['the tag latest', changed('image', { tag: 'latest' }), '/image/tag must NOT be valid'],
    ['a tag in two places', changed('image', { repository: 'a@sha256:b' }), '/image/repository must match'],
    ['no CPU', (values) => ({ ...values, resources: resources({ cpu: 0 }) }), '/limits/cpu must be > 0'],
    ['an internal port for everybody', changed('networkPolicy', { internalFrom: [] }), 'fewer than 1 items'],
    ['a disruption budget that blocks', changed('disruptionBudget', { maxUnavailable: 0 }), 'must be >= 1'],
    [
      'a disk without a bound',
      (values) => ({ ...values, resources: { requests: {}, limits: {} } }),
      'ephemeral-storage',
    ],
  ])('has a schema that refuses %s', (_, change, reason) => {
    expect(refusals(change(own)).join('\n')).toContain(reason);
  });

  it('has a schema with the settings that there are: if not, run npm run docs', () => {
    const current = readChart('values.schema.json');
    expect(chartSchema(current)).toBe(current);
  });

  it('is rendered by the pages as for a Kubernetes that it accepts, whichever Helm takes by itself', () => {
    const page = readFileSync(join(ROOT, 'docs/kubernetes.md'), 'utf8');
    const { kubeVersion } = parse(readChart('Chart.yaml'));
    const commands = page.match(/`helm template [^`]+`/g) ?? [];
    expect(commands).toHaveLength(1);
    expect(commands[0]).toContain(` --kube-version ${/\d[\d.]+/.exec(kubeVersion)}`);
  });

  it('uses every value that it has, and has every value that it uses', () => {
    const used = [...templates.matchAll(/\.Values\.([\w.]+)/g)].map(([, path = '']) => path);
    const parts = [...templates.matchAll(/(?<=[ (])\.([a-z]\w+)/g)].map(([, name]) => name);
    const has = pathsOf({ ...own, config: {} });
    const isUsed = (path: string) =>
      used.some((one) => path === one || path.startsWith(`${one}.`)) ||
      parts.includes(path.split('.').at(-1));
    expect(has.filter((path) => !isUsed(path))).toEqual([]);
    const isThere = (path: string) =>
      path.startsWith('config.') || has.some((one) => one === path || one.startsWith(`${path}.`));
    expect(used.filter((path) => !isThere(path))).toEqual([]);
    expect(used.length).toBeGreaterThan(40);
  });
});

// Helm renders without a cluster.
const whereRendered = HELM ? describe : describe.skip;
const without = HELM ? '' : ' (skipped: helm is not on the PATH)';

whereRendered(`helm lint${without}`, () => {
  it.each([[[]], [['--values', PROD]]])('finds nothing wrong: %j', async (args) => {
    expect(await lint(args)).toContain('1 chart(s) linted, 0 chart(s) failed');
  });
});

const INSTALLATIONS: Record<string, string[]> = {
  'without values': [],
  'with prod.yaml': ['--values', PROD],
  'with a volume and services of its own': [
    ...['--set', 'embeddedStore.persistent=true,embeddedStore.storageClassName=fast,drain.timeoutSeconds=45'],
    ...['--set-json', 'services=[{"name":"a","path":"/a","upstreams":["http://a:1"]}]'],
  ],
  'with Redis by settings': [
    ...['--set', 'replicas=3,config.REDIS_HOST=redis,networkPolicy.enabled=false,priorityClassName=high'],
    ...['--set', 'podAnnotations.a=b,nodeSelector.a=b,imagePullSecrets[0].name=pull,image.tag=1.2.3'],
  ],
};

whereRendered.each(Object.entries(INSTALLATIONS))(`the chart, rendered %s${without}`, (name, args) => {
  let installation: Installation;

  beforeAll(async () => {
    const objects = await rendered(args);
    const services = objects.find(({ metadata }) => metadata.name === 'gateway-services');
    installation = {
      objects,
      settings: theOne(objects, 'ConfigMap', 'gateway').data,
      gatewayFile: services?.data['gateway.json'],
    };
  });

  if (!name.includes('Redis by settings')) itRunsAGateway(() => installation);

  it('is valid', async () => {
    for (const object of installation.objects) expect(await invalidities(object)).toBeUndefined();
    expect(await misspellings(installation.objects)).toBe('');
  }, 60_000);
});

whereRendered(`the chart, rendered${without}`, () => {
  it.each([
    ['replicas=2', 'needs Redis: set redis.secretName'],
    ['autoscaling.enabled=true', 'needs Redis: set redis.secretName'],
    ['config.TRUSTED_PROXIES=10.0.0.0/8', 'networkPolicy.externalFrom must name the proxies'],
    ['networkPolicy.egress.enabled=true,redis.secretName=x', 'needs networkPolicy.egress.redis'],
    [
      'networkPolicy.egress.enabled=true,config.OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318',
      'needs networkPolicy.egress.collector',
    ],
    ['replicas=3,config.REDIS_NODES=a:redis-a:6379', 'needs Redis: set redis.secretName'],
    [
      'networkPolicy.egress.enabled=true,config.JWKS_URL=https://id.example.com/keys',
      'needs networkPolicy.egress.extra',
    ],
    ['secretName=', 'config.JWT_SECRET_FILE names a file of the Secret'],
    ['ingress.enabled=true', 'ingress.enabled needs ingress.host'],
    ['autoscaling.minReplicas=11', 'minReplicas is more than'],
    ['networkPolicy.internalFrom=null', 'internalFrom'],
  ])('refuses %s', async (values, reason) => {
    await expect(rendered(['--set', values])).rejects.toThrow(reason);
  });

  it('starts new pods when a setting has changed, and only then', async () => {
    const podsOf = async (args: string[]) => theOne(await rendered(args), 'Deployment').spec.template;
    const before = await podsOf([]);
    expect(await podsOf(['--set', 'config.LOG_LEVEL=warn'])).not.toEqual(before);
    expect(await podsOf(['--set', 'serviceMonitor.enabled=true'])).toEqual(before);
  });

  it('has a volume for the embedded store unless several nodes of Redis are really used', async () => {
    const strategyWith = async (sharding: string) => {
      const settings = ['--set', 'config.REDIS_NODES=a:redis-a:6379', '--set-string', sharding];
      return theOne(await rendered(settings), 'Deployment').spec.strategy.type;
    };
    expect(await strategyWith('config.USE_REDIS_SHARDING=false')).toBe('Recreate');
    expect(await strategyWith('config.USE_REDIS_SHARDING=true')).toBe('RollingUpdate');
  });

  it('waits for no Secret where public keys and an address are all that a gateway needs', async () => {
    const keys = 'secretName=,config.JWT_SECRET_FILE=null,config.JWKS_URL=https://id.example.com/keys';
    for (const redis of ['', ',redis.secretName=gateway-redis']) {
      const objects = await rendered(['--set', keys + redis]);
      const { volumes, containers } = theOne(objects, 'Deployment').spec.template.spec;
      const names = redis ? null : [expect.objectContaining({ name: 'data' })];
      expect({ volumes, mounts: containers[0].volumeMounts }).toEqual({ volumes: names, mounts: names });
      for (const object of objects) expect(await invalidities(object)).toBeUndefined();
      expect(settingsFrom(theOne(objects, 'ConfigMap').data).jwksUrl).toContain('id.example.com');
    }
  }, 60_000);

  it('takes a digest for a tag', async () => {
    const objects = await rendered(['--set', 'image.repository=r.example.com/a,image.tag=sha256:12ab']);
    expect(theOne(objects, 'Deployment').spec.template.spec.containers[0].image).toBe(
      'r.example.com/a@sha256:12ab',
    );
  });

  it('gives pods their services', async () => {
    const services = [{ name: 'a', path: '/a', upstreams: ['http://a:1'] }];
    const objects = await rendered(['--set-json', `services=${JSON.stringify(services)}`]);
    const { data } = theOne(objects, 'ConfigMap', 'gateway-services');
    const settings = settingsFrom(theOne(objects, 'ConfigMap', 'gateway').data, data['gateway.json']);
    expect(settings.services).toEqual([expect.objectContaining(services[0] as object)]);
  });

  it('leaves alerts as they are', async () => {
    const objects = await rendered(['--set', 'prometheusRule.enabled=true']);
    expect(theOne(objects, 'PrometheusRule').spec).toEqual(parse(readAlerts()));
  });
});

const whereBoth = HELM && KUSTOMIZE ? describe : describe.skip;
whereBoth(
  `the chart with prod.yaml${HELM && KUSTOMIZE ? '' : ' (skipped: helm or kubectl is not on the PATH)'}`,
  () => {
    it('makes the same objects as the overlay prod', async () => {
      const [chart, overlay] = await Promise.all([rendered(['--values', PROD]), built('prod')]);
      expect(essence(chart)).toEqual(essence(overlay.filter(({ kind }) => kind !== 'Namespace')));
      expect(theOne(chart, 'ConfigMap').data).toEqual(settingsOf('prod'));
    });
  },
);

/** Objects without what says which tool made them, by kind and name. */
function essence(objects: readonly Manifest[]): Record<string, unknown> {
  const toolsOwn =
    /^(app\.kubernetes\.io\/(instance|version|managed-by)|helm\.sh\/chart|checksum\/config|namespace)$/;
  const entries = objects.map((object) => {
    const text = JSON.stringify(object, (key, value) => (toolsOwn.test(key) ? undefined : value));
    // The ConfigMap has a hash in its name in one, and labels in the other.
    const plain = JSON.parse(text.replaceAll(/gateway-[a-z0-9]{10}(?=")/g, 'gateway'));
    if (plain.kind === 'ConfigMap') plain.metadata.labels = undefined;
    if (plain.kind === 'Deployment') plain.spec.template.metadata.annotations = undefined;
    return [`${plain.kind} ${plain.metadata.name}`, plain];
  });
  return Object.fromEntries(entries);
}

/** Resources with these limits besides those of memory and disk. */
function resources(limits: Values): Values {
  const others = { memory: '512Mi', 'ephemeral-storage': '256Mi' };
  return { requests: { cpu: '250m', ...others }, limits: { ...others, ...limits } };
}

function changed(name: string, change: Values): (values: Values) => Values {
  return (values) => ({ ...values, [name]: { ...(values[name] as Values), ...change } });
}
