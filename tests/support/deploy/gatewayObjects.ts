import { expect, it } from '@jest/globals';
import { loadSettings, type Settings } from '../../../config/config.ts';
import { listVariables } from '../../../config/variables.ts';
import { type Manifest, theOne } from './manifests.ts';

/** The objects of one installation, and the settings that its pods get. */
export interface Installation {
  readonly objects: readonly Manifest[];
  readonly settings: Readonly<Record<string, string>>;
  /** What GATEWAY_FILE holds, where it is set. */
  readonly gatewayFile?: string;
}

/** The settings that a deployment's variables make, or an error that lists what is wrong. */
export function settingsFrom(env: Readonly<Record<string, string>>, gatewayFile = ''): Settings {
  const secret = 'c2VjcmV0IG9mIGEgZGVwbG95bWVudCBpbiB0aGlzIHRlc3Q=';
  return loadSettings({ NODE_ENV: 'production', ...env }, (path) => {
    if (path.startsWith('/')) return path.endsWith('.json') ? gatewayFile : secret;
    throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
  });
}

/** Tests of what holds for every installation, whichever tool made it. Objects that it lacks are not missed. */
export function itRunsAGateway(installation: () => Installation): void {
  const ofKind = (kind: string) => installation().objects.filter((object) => object.kind === kind);
  const deployment = () => theOne(installation().objects, 'Deployment');
  const pod = () => deployment().spec.template;
  const container = () => pod().spec.containers[0];
  const labels = () => pod().metadata.labels;
  const loaded = () => settingsFrom(installation().settings, installation().gatewayFile);

  it('selects the pods that it means', () => {
    const matching = (selector: object) => expect(labels()).toMatchObject(selector);
    matching(deployment().spec.selector.matchLabels);
    for (const { spec } of ofKind('Service')) matching(spec.selector);
    for (const { spec } of ofKind('PodDisruptionBudget')) matching(spec.selector.matchLabels);
    for (const { spec } of ofKind('NetworkPolicy')) matching(spec.podSelector.matchLabels);
    for (const { labelSelector } of pod().spec.topologySpreadConstraints) matching(labelSelector.matchLabels);
    for (const { spec } of ofKind('HorizontalPodAutoscaler'))
      expect(spec.scaleTargetRef).toMatchObject({ kind: 'Deployment', name: deployment().metadata.name });
    for (const { spec } of ofKind('ServiceMonitor'))
      expect(servicePort(8001).metadata).toMatchObject({ labels: spec.selector.matchLabels });
  });

  it('names ports that the container has', () => {
    const { externalPort, internalPort } = loaded();
    expect(container().ports).toEqual([
      { name: 'http', containerPort: externalPort },
      { name: 'internal', containerPort: internalPort },
    ]);
    expect(servicePort(8000).spec.ports).toEqual([{ name: 'http', port: 8000, targetPort: 'http' }]);
    expect(servicePort(8001).spec.ports).toEqual([{ name: 'internal', port: 8001, targetPort: 'internal' }]);
    const admitted = policy('Ingress').spec.ingress.flatMap(
      ({ ports }: { ports: { port: string }[] }) => ports,
    );
    expect(admitted.map(({ port }: { port: string }) => port)).toEqual(['http', 'internal']);
  });

  it('closes the internal port to all but pods that are labelled for it, and Prometheus', () => {
    const [, internal] = policy('Ingress').spec.ingress;
    expect(internal.from).not.toEqual([]);
    for (const peer of internal.from) expect(Object.keys(peer.podSelector.matchLabels)).not.toEqual([]);
    for (const { spec } of ofKind('Service')) expect(spec.type ?? 'ClusterIP').toBe('ClusterIP');
    for (const { spec } of ofKind('Ingress'))
      expect(JSON.stringify(spec)).not.toContain(servicePort(8001).metadata.name);
  });

  it('lets nobody who may forge addresses connect to the external port', () => {
    const [external] = policy('Ingress').spec.ingress;
    const trusted = loaded().trustedProxies.length > 0;
    // A trusted network has pods in it that are no proxies.
    expect({ trusted, restricted: 'from' in external }).toEqual({ trusted, restricted: trusted });
  });

  it('is what the Pod Security level `restricted` demands', () => {
    const { spec } = pod();
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const one of [...spec.containers, ...(spec.initContainers ?? [])]) {
      expect(one.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
      });
      expect(one.securityContext).not.toHaveProperty('privileged');
      for (const { hostPort } of one.ports) expect(hostPort).toBeUndefined();
    }
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) expect(spec).not.toHaveProperty(field);
    const allowed = ['configMap', 'emptyDir', 'persistentVolumeClaim', 'secret'];
    for (const { name, ...kinds } of spec.volumes ?? [])
      expect({ name, kinds: Object.keys(kinds).filter((kind) => !allowed.includes(kind)) }).toEqual({
        name,
        kinds: [],
      });
  });

  it('mounts what it reads, and declares what it mounts', () => {
    const declared = pod().spec.volumes.map(({ name }: { name: string }) => name);
    const mounts: { name: string; mountPath: string }[] = container().volumeMounts;
    for (const { name } of mounts) expect(declared).toContain(name);
    const files = Object.entries(installation().settings).filter(([name]) => name.endsWith('_FILE'));
    expect(files).not.toEqual([]);
    for (const [, path] of files)
      expect(mounts.filter(({ mountPath }) => path.startsWith(`${mountPath}/`))).toHaveLength(1);
  });

  it('keeps tokens in a directory of its own: a volume belongs to root, and others may write there', () => {
    const mounts: { name: string; mountPath: string }[] = container().volumeMounts;
    for (const { mountPath } of mounts.filter(({ name }) => name === 'data'))
      expect(installation().settings.DATA_DIR).toMatch(new RegExp(`^${mountPath}/\\w`));
  });

  it('asks the internal port whether it has started, is alive and is ready', () => {
    const { startupProbe, livenessProbe, readinessProbe } = container();
    expect(startupProbe.httpGet).toEqual({ path: '/healthz', port: 'internal' });
    expect(livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'internal' });
    expect(readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'internal' });
    // A cold start on a throttled CPU takes seconds.
    expect(startupProbe.periodSeconds * startupProbe.failureThreshold).toBeGreaterThanOrEqual(30);
  });

  it('gets settings that the gateway knows and accepts', () => {
    const known = listVariables().map(([, { name }]) => name);
    const given = [...Object.keys(installation().settings), ...(container().env ?? []).map(nameOf)];
    expect(given.filter((name) => !known.includes(name))).toEqual([]);
    expect(loaded().externalMetrics).toBe(false);
  });

  it('has longer to end than preStop and DRAIN_TIMEOUT take together', () => {
    const { drainTimeoutMs } = loaded();
    const preStopMs = container().lifecycle.preStop.sleep.seconds * 1000;
    expect(preStopMs).toBeGreaterThan(0);
    expect(pod().spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(drainTimeoutMs + preStopMs);
  });

  it('has an image that a node need not fetch again', () => {
    const { image, imagePullPolicy } = container();
    // Kubernetes takes `latest` for a reason to ask the registry each time.
    expect({ image, imagePullPolicy }).toEqual({
      image: expect.not.stringMatching(/:latest$/),
      imagePullPolicy: 'IfNotPresent',
    });
  });

  it('asks for the memory, CPU and disk that it may use at most', () => {
    const { requests, limits } = container().resources;
    for (const resource of ['cpu', 'memory', 'ephemeral-storage']) {
      expect(requests).toHaveProperty([resource]);
      expect(limits).toHaveProperty([resource]);
    }
  });

  it('starts without Redis, and waits for it', () => {
    const { redisUrl, redisRequired } = loaded();
    const withRedis = redisUrl !== undefined || (container().env ?? []).map(nameOf).includes('REDIS_URL');
    expect({ withRedis, redisRequired }).toEqual({ withRedis, redisRequired: redisRequired && !withRedis });
  });

  it('never keeps a node from being drained for pods that serve nobody', () => {
    for (const { spec } of ofKind('PodDisruptionBudget')) {
      expect(spec.unhealthyPodEvictionPolicy).toBe('AlwaysAllow');
      expect(spec.maxUnavailable).toBeGreaterThan(0);
    }
  });

  it('adds gateways before one is full', () => {
    for (const { spec } of ofKind('HorizontalPodAutoscaler')) {
      expect(spec.minReplicas).toBeLessThan(spec.maxReplicas);
      expect(spec.minReplicas).toBeGreaterThan(1);
      // In thousandths of a CPU, of which one thread can use a thousand.
      const requested = Number.parseInt(container().resources.requests.cpu, 10);
      expect(container().resources.requests.cpu).toBe(`${requested}m`);
      const addedAt = (requested * spec.metrics[0].resource.target.averageUtilization) / 100;
      expect(addedAt).toBeGreaterThan(requested);
      expect(addedAt).toBeLessThan(800);
      // The autoscaler's number would be overwritten with every apply.
      expect(deployment().spec).not.toHaveProperty('replicas');
      expect(deployment().spec.strategy.rollingUpdate).toMatchObject({ maxUnavailable: 0 });
    }
  });

  function servicePort(port: number): Manifest {
    const found = ofKind('Service').filter(({ spec }) => spec.ports[0].port === port);
    expect(found).toHaveLength(1);
    return found[0] as Manifest;
  }

  function policy(type: 'Ingress' | 'Egress'): Manifest {
    const [found, ...others] = ofKind('NetworkPolicy').filter(({ spec }) => spec.policyTypes.includes(type));
    expect(others).toEqual([]);
    return found as Manifest;
  }
}

function nameOf({ name }: { name: string }): string {
  return name;
}
