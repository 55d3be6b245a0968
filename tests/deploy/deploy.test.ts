import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { BUILT_IN_SERVICES, type ServiceDefinition } from '../../config/sections/services.ts';
import { listVariables } from '../../config/variables.ts';
import { CATALOGUE, registryNameOf } from '../../playground/catalogue.ts';
import { type ComposeService, networksOf, readCompose, schemaErrors } from '../support/deploy/compose.ts';
import { execForm, readDockerfile } from '../support/deploy/dockerfile.ts';
import { settingsFrom } from '../support/deploy/gatewayObjects.ts';
import { readManifests } from '../support/deploy/manifests.ts';

const ROOT = join(import.meta.dirname, '../..');
const STACKS = ['docker-compose.yaml', 'docker-compose.swarm.yml'] as const;

/** How long `docker stop` and a service of Swarm wait by default before they kill. */
const DOCKER_STOP_MS = 10_000;
/** What a gateway may take to close its store and end, once it has drained. */
const ENDS_WITHIN_MS = 2_000;

const compose = readCompose('docker-compose.yaml');
const serviceNamed = (name: string) => compose.services[name] as ComposeService;
const builtInAt = (path: string) =>
  BUILT_IN_SERVICES.find((service) => service.path === path) as ServiceDefinition;
const monitoring = (path: string) => parse(readFileSync(join(ROOT, 'monitoring', path), 'utf8'));

describe.each(STACKS)('%s', (path) => {
  const stack = readCompose(path);
  const services = Object.entries(stack.services);

  it('is what the Compose Specification knows', () => {
    expect(schemaErrors(stack)).toEqual([]);
    // Were the check blind, it would not see this either.
    expect(schemaErrors({ ...stack, services: { a: { portz: [] } as never } })).not.toEqual([]);
  });

  it('uses only networks, volumes and secrets that it names', () => {
    for (const [name, service] of services) {
      expect({ name, unknown: networksOf(service).filter((one) => !(one in stack.networks)) }).toEqual({
        name,
        unknown: [],
      });
      for (const secret of service.secrets ?? []) expect(Object.keys(stack.secrets)).toContain(secret);
      for (const [from = ''] of (service.volumes ?? []).map((volume) => volume.split(':'))) {
        if (from.startsWith('.'))
          expect({ from, exists: existsSync(join(ROOT, from)) }).toEqual({ from, exists: true });
        else expect(Object.keys(stack.volumes)).toContain(from);
      }
    }
  });

  it('reads only secrets that the service is given', () => {
    for (const [name, { environment = {}, command = [], secrets = [] }] of services) {
      const read = JSON.stringify([environment, command]).matchAll(/\/run\/secrets\/(\w+)/g);
      for (const [, secret = ''] of read)
        expect({ name, secrets }).toEqual({ name, secrets: expect.arrayContaining([secret]) });
    }
  });

  it('gives the gateway variables that it knows and accepts', () => {
    const env = stack.services['api-gateway']?.environment ?? {};
    const known = listVariables().map(([, variable]) => variable.name);
    expect(Object.keys(env).filter((name) => !known.includes(name))).toEqual([]);
    // To YAML 100 is a number; a container gets text.
    const texts = Object.entries(env).map(([name, value]) => [name, String(value)]);
    const settings = settingsFrom(Object.fromEntries(texts));
    expect(settings.redisUrl).toContain('@redis:6379');
    expect(settings.serviceDiscovery).toEqual({ kind: 'http', url: 'http://service-discovery:9000' });
  });

  it('publishes the external port and never the internal one', () => {
    const published = services.flatMap(([, { ports = [] }]) => ports);
    expect(stack.services['api-gateway']?.ports).toEqual(['8000:8000']);
    expect(published.filter((port) => /\b8001\b/.test(port))).toEqual([]);
  });

  it('waits longer than the gateway drains before it kills it, and so does plain `docker stop`', () => {
    const { drainTimeoutMs } = settingsFrom({ JWT_SECRET_FILE: '/x' });
    const seconds = Number.parseInt(stack.services['api-gateway']?.stop_grace_period ?? '', 10);
    expect(seconds * 1000).toBeGreaterThan(drainTimeoutMs);
    expect(drainTimeoutMs).toBeLessThanOrEqual(DOCKER_STOP_MS - ENDS_WITHIN_MS);
  });
});

it('docs/sizing.md says what the stacks and the manifests give a gateway', () => {
  const page = readFileSync(join(ROOT, 'docs/sizing.md'), 'utf8');
  const [, limit, request, cpu] = /^\| Compose .* \| (\d+) MiB \| (\d+) MiB \| ([\d.]+) \|/m.exec(page) ?? [];
  for (const path of STACKS) {
    const { limits, reservations } = readCompose(path).services['api-gateway']?.deploy?.resources ?? {};
    expect(limits?.memory).toBe(`${limit}M`);
    if (reservations) expect(reservations).toEqual({ cpus: cpu, memory: `${request}M` });
  }
  const [deployment] = readManifests('deploy/kubernetes/base/deployment.yaml');
  const { requests, limits } = deployment?.spec.template.spec.containers[0].resources ?? {};
  expect([limits.memory, requests.memory]).toEqual([`${limit}Mi`, `${request}Mi`]);
  expect(Number.parseInt(requests.cpu, 10)).toBe(Number(cpu) * 1000);
});

describe.each(STACKS)('%s: every container', (path) => {
  const services = Object.entries(readCompose(path).services);

  it('has no capability, gains none, and changes nothing but its volumes', () => {
    for (const [name, { read_only, cap_drop, cap_add = [], security_opt = [] }] of services) {
      expect({ name, read_only, cap_drop, cap_add }).toEqual({
        name,
        read_only: true,
        cap_drop: ['ALL'],
        cap_add: [],
      });
      // Swarm does not take it, and says so each time.
      expect({ name, security_opt }).toEqual({
        name,
        security_opt: path.includes('swarm') ? [] : ['no-new-privileges:true'],
      });
    }
  });

  it('has limits of CPU, memory and processes', () => {
    for (const [name, { deploy }] of services) {
      expect({ name, limits: deploy?.resources?.limits }).toEqual({
        name,
        limits: {
          // More than a machine has cores is an error there.
          cpus: '1',
          memory: expect.stringMatching(/^\d+[MG]$/),
          pids: expect.any(Number),
        },
      });
    }
  });

  it('has a log that does not grow for ever', () => {
    for (const [name, { logging }] of services) {
      expect({ name, logging }).toEqual({
        name,
        logging: { driver: 'json-file', options: { 'max-size': '10m', 'max-file': '3' } },
      });
    }
  });

  it('says in the file whether it is healthy: images in the OCI format cannot', () => {
    for (const [name, { healthcheck }] of services)
      expect({ name, test: healthcheck?.test?.length }).toEqual({ name, test: expect.any(Number) });
  });

  it('has the version of this project, or one of its own, and never the latest', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    for (const [, { image }] of services) {
      const [, tag] = /:([^:/]+)$/.exec(image) ?? [];
      expect({ image, tag }).toEqual({
        image,
        tag: image.startsWith('pad-gateway') ? version : expect.any(String),
      });
      expect(tag).not.toBe('latest');
    }
    const chosen = readCompose(path, { VERSION: '9.9.9' }).services['api-gateway'];
    expect(chosen?.image).toBe('pad-gateway:9.9.9');
  });

  it('checks the gateway as the image does', () => {
    const image = readDockerfile(join(ROOT, 'Dockerfile')).find(({ name }) => name === 'gateway');
    const check = image?.instructions.find(({ name }) => name === 'HEALTHCHECK');
    const { test } = readCompose(path).services['api-gateway']?.healthcheck ?? {};
    expect(test).toEqual(['CMD', ...execForm(check?.text ?? '')]);
  });

  it('runs Redis in one way, as its own user', () => {
    const redis = readCompose(path).services.redis as ComposeService;
    const { user, command, volumes, secrets } = redis;
    expect({ user, command, volumes, secrets }).toEqual({
      user: 'redis',
      command: serviceNamed('redis').command,
      volumes: ['redis-data:/data'],
      secrets: ['redis_password'],
    });
    // What it is allowed to hold leaves room for what holding it takes.
    const megabytes = /^maxmemory (\d+)mb$/m.exec(command?.at(-1) ?? '')?.[1];
    const limit = Number.parseInt(redis.deploy?.resources?.limits?.memory ?? '', 10);
    expect(Number(megabytes)).toBeLessThanOrEqual(limit * 0.75);
  });
});

it.each(STACKS)(
  '%s starts gateways without Redis and checks what services need, as no new gateway mends it',
  (path) => {
    const gateway = readCompose(path).services['api-gateway'];
    // To YAML false is no text; a container gets text.
    expect(String(gateway?.environment?.REDIS_REQUIRED)).toBe('false');
    // What is not said here is said by the image.
    const image = readDockerfile(join(ROOT, 'Dockerfile')).find(({ name }) => name === 'gateway');
    const inImage = image?.instructions.find(({ name }) => name === 'HEALTHCHECK')?.text ?? '';
    const check = gateway?.healthcheck?.test?.join(' ') ?? inImage.replaceAll(/[[",\]]/g, '');
    expect(check).toMatch(/CMD bash gateway\/healthcheck\.sh$/);
  },
);

describe('docker-compose.swarm.yml', () => {
  const gateway = readCompose('docker-compose.swarm.yml').services['api-gateway'] as ComposeService;

  const { services } = readCompose('docker-compose.swarm.yml');
  const text = readFileSync(join(ROOT, 'docker-compose.swarm.yml'), 'utf8');
  const head = text.slice(0, text.indexOf('version:'));

  it('runs several gateways, within bounds, on workers alone where that is wished', () => {
    expect(gateway.deploy).toMatchObject({
      replicas: 3,
      resources: { limits: { cpus: '1', memory: '512M' } },
    });
    const wish = 'node.role == worker';
    expect(head).toContain(`GATEWAY_NODES="${wish}"`);
    const chosen = readCompose('docker-compose.swarm.yml', { GATEWAY_NODES: wish });
    expect(chosen.services['api-gateway']?.deploy?.placement).toEqual({ constraints: [wish] });
  });

  it('is placed on a Swarm of one node by its own commands', () => {
    for (const [name, { deploy }] of Object.entries(services)) {
      for (const constraint of deploy?.placement?.constraints ?? []) {
        const [, label, value] = /^node\.labels\.(\w+) == (\w+)$/.exec(constraint) ?? [];
        if (label) expect(head).toContain(`docker node update --label-add ${label}=${value} `);
        else expect({ name, constraint }).toEqual({ name, constraint: 'node.platform.os == linux' });
      }
    }
  });

  it('never gives a container up', () => {
    for (const { deploy } of Object.values(services)) {
      const { condition, delay } = deploy?.restart_policy ?? {};
      expect(deploy?.restart_policy).toEqual({ condition: 'any', delay });
      expect(condition).toBe('any');
    }
    expect(gateway.deploy?.restart_policy?.delay).toBe('5s');
  });

  it('never runs two Redis on one volume', () => {
    const { deploy } = services.redis as ComposeService;
    expect(deploy?.replicas).toBe(1);
    expect([deploy?.update_config?.order, deploy?.rollback_config?.order]).toEqual([
      'stop-first',
      'stop-first',
    ]);
    // Another node has another volume, without the revocations.
    expect(deploy?.placement?.constraints).toEqual(['node.labels.redis == true']);
  });

  it('says a version of its format in which processes can be limited', () => {
    expect(text).toMatch(/^version: "3\.(9|1\d)"$/m);
  });

  it('starts a new gateway before it stops an old one, and takes back what is not healthy', () => {
    expect(gateway.deploy?.update_config).toMatchObject({
      parallelism: 1,
      order: 'start-first',
      failure_action: 'rollback',
    });
    expect(gateway.deploy?.rollback_config).toMatchObject({ order: 'start-first' });
  });

  it('ends a gateway that hangs within half a minute', () => {
    const { interval = '', retries = 0 } = gateway.healthcheck ?? {};
    expect(Number.parseInt(interval, 10) * retries).toBeLessThanOrEqual(30);
  });

  it('reads the secret of tokens from a Docker secret', () => {
    expect(gateway.environment?.JWT_SECRET_FILE).toBe('/run/secrets/jwt_secret');
    expect(gateway.environment).not.toHaveProperty('JWT_SECRET');
  });
});

describe('the pages', () => {
  const text = allPages();

  it('name only services that the stack has', () => {
    const named = [
      ...text.matchAll(/docker compose (?:logs|exec) ([\w-]+)/g),
      ...text.matchAll(/--scale\s+([\w-]+)=/g),
      ...text.matchAll(/gateway-stack_([\w-]+)/g),
    ].map(([, name = '']) => name);
    expect(named.length).toBeGreaterThan(5);
    // In Swarm volumes are called after the stack as well.
    const known = { ...compose.services, ...compose.volumes };
    expect(named.filter((name) => !(name in known))).toEqual([]);
  });

  it('run the Node of the packages: the one of the machine may be the oldest that npm comes with', () => {
    expect(text.match(/^(?:node |.*`node (?:bench|tests)\/).*\.ts.*$/gm)).toBeNull();
  });

  it('have systemd find the code, and start a gateway again however often it has ended', () => {
    const units = text.match(/^\[Service\]\n(?:.+\n)*?(?=```)/gm) ?? [];
    expect(text.match(/ExecStart=/g)).toHaveLength(units.length);
    expect(units).toHaveLength(1);
    const unit = Object.fromEntries((units[0] ?? '').split('\n').map((line) => line.split('=')));
    const [node, , main = ''] = unit.ExecStart.split(' ');
    expect(node).toBe(`${unit.WorkingDirectory}/node_modules/.bin/node`);
    expect(existsSync(join(ROOT, main))).toBe(true);
    // By default systemd gives up after five starts within ten seconds.
    expect(unit.Restart).toBe('always');
    expect(Number(unit.RestartSec) * 5).toBeGreaterThan(10);
  });

  it('send signals from inside: a container that Docker has signalled is not started again when it ends', () => {
    expect(text.match(/^.*docker (?:compose )?kill (?:-s|--signal)[ =]\w.*$/gm)).toBeNull();
    expect(
      [...text.matchAll(/exec api-gateway bash -c 'kill -(\w+) 1'/g)].map(([, name]) => name).sort(),
    ).toEqual(['URG', 'USR2', 'USR2']);
  });
});

describe('docker-compose.yaml', () => {
  it('runs a Redis with a password that keeps what it was told', () => {
    const { command = [], healthcheck } = serviceNamed('redis');
    expect(command.at(-1)).toContain('appendonly yes\nappendfsync always\n');
    expect(healthcheck?.test?.at(-1)).toContain('REDISCLI_AUTH');
  });

  it('builds each image once, and looks for none of them in a registry', () => {
    const own = Object.entries(compose.services).filter(([, { image }]) => image.startsWith('pad-gateway'));
    expect(own).toHaveLength(12);
    const builders = new Map(own.filter(([, { build }]) => build).map(([name, { image }]) => [image, name]));
    expect(Object.fromEntries(builders)).toEqual({
      [serviceNamed('api-gateway').image]: 'api-gateway',
      [serviceNamed('budgeting-service').image]: 'service-discovery',
    });
    for (const [name, { image, build, pull_policy, depends_on = {} }] of own) {
      expect({ name, pull_policy }).toEqual({ name, pull_policy: 'never' });
      // Whoever is started alone brings along the one that is built.
      if (!build) expect(Object.keys(depends_on)).toContain(builders.get(image));
    }
  });

  it('gives several gateways a port each of a range without the internal one', () => {
    const ranges = [...allPages().matchAll(/EXTERNAL_PORTS=(\d+)-(\d+)/g)];
    expect(ranges.length).toBeGreaterThan(0);
    for (const [, from, to] of ranges) {
      const inside = Number(from) <= 8001 && Number(to) >= 8001;
      expect({ from, to, inside }).toEqual({ from, to, inside: false });
    }
    const scaled = readCompose('docker-compose.yaml', { EXTERNAL_PORTS: '8010-8019' });
    expect(scaled.services['api-gateway']?.ports).toEqual(['8010-8019:8000']);
    expect(scaled.services['api-gateway']).not.toHaveProperty('container_name');
  });

  it('builds targets that the Dockerfile has', () => {
    const targets = readDockerfile(join(ROOT, 'Dockerfile')).map(({ name }) => name);
    for (const { build } of Object.values(compose.services))
      if (build) expect(targets).toContain(build.target);
  });

  it('waits only for services that it has, and that say whether they are healthy', () => {
    for (const { depends_on = {} } of Object.values(compose.services)) {
      for (const name of Object.keys(depends_on)) {
        expect({ name, checked: Boolean(serviceNamed(name).healthcheck) }).toEqual({ name, checked: true });
      }
    }
  });

  it.each(CATALOGUE.map(({ name }) => name))('runs %s where the gateway looks for it', (name) => {
    const { name: registryName, upstreams = [] } = builtInAt(`/${name}`);
    const { hostname: host, port: wanted } = new URL(upstreams[0] ?? '');
    const { command = [], healthcheck } = serviceNamed(host);
    const port = command[command.indexOf('--port') + 1];
    expect(command.slice(0, 3)).toEqual(['playground/serve.ts', '--service', name]);
    expect(existsSync(join(ROOT, command[0] ?? ''))).toBe(true);
    expect({ port, upstreams, registryName }).toEqual({
      port: wanted,
      upstreams: [`http://${host}:${port}`],
      registryName: registryNameOf(name),
    });
    expect(healthcheck?.test).toEqual(['CMD', 'bash', 'playground/healthcheck.sh', port]);
    expect(command.at(-1)).toBe(serviceNamed('api-gateway').environment?.SERVICE_DISCOVERY_URL);
    // `--scale` gives containers names of its own.
    expect(serviceNamed(host)).not.toHaveProperty('container_name');
    expect(serviceNamed(host)).not.toHaveProperty('ports');
  });

  it('lets nobody come from outside to where the internal port is', () => {
    const open = Object.keys(compose.networks).filter((name) => !compose.networks[name]?.internal);
    const neighbours = Object.entries(compose.services).filter(([, service]) =>
      networksOf(service).some(
        (name) => open.includes(name) && networksOf(serviceNamed('api-gateway')).includes(name),
      ),
    );
    expect(neighbours.map(([name]) => name)).toEqual(['api-gateway']);
  });

  it('keeps services and Redis on networks without a way out', () => {
    for (const name of ['services', 'store', 'monitoring'])
      expect(compose.networks[name]?.internal).toBe(true);
    expect(networksOf(serviceNamed('redis'))).toEqual(['store']);
    expect(networksOf(serviceNamed('budgeting-service'))).toEqual(['services']);
  });

  it('has all that the gateway calls, and that calls it, on a network with it', () => {
    const here = networksOf(serviceNamed('api-gateway'));
    const apart = Object.entries(compose.services).filter(
      ([, service]) => !networksOf(service).some((name) => here.includes(name)),
    );
    expect(apart.map(([name]) => name)).toEqual(['grafana']);
  });

  it('gives Prometheus the name that it looks gateways up by', () => {
    const [job] = monitoring('prometheus.yml').scrape_configs;
    const { networks } = serviceNamed('api-gateway');
    const aliases = Array.isArray(networks) ? [] : Object(networks).services.aliases;
    expect(job.dns_sd_configs[0].names).toEqual(aliases);
    expect(job.dns_sd_configs[0].port).toBe(settingsFrom({ JWT_SECRET_FILE: '/x' }).internalPort);
    expect(networksOf(serviceNamed('prometheus'))).toContain('services');
  });

  it('mounts what Prometheus and Grafana are told to read', () => {
    const { volumes = [], command = [] } = serviceNamed('prometheus');
    expect(command[0]).toBe('--config.file=/etc/prometheus/prometheus.yml');
    expect(volumes).toContain('./monitoring/rules:/etc/prometheus/rules:ro');
    const [datasource] = monitoring('grafana/provisioning/datasources/prometheus.yml').datasources;
    expect(Object.keys(compose.services)).toContain(new URL(datasource.url).hostname);
    expect(datasource.jsonData.timeInterval).toBe(monitoring('prometheus.yml').global.scrape_interval);
    const [provider] = monitoring('grafana/provisioning/dashboards/gateway.yml').providers;
    const [mount = ''] = serviceNamed('grafana').volumes ?? [];
    const [from = '', to = ''] = mount.split(':');
    expect(existsSync(join(ROOT, provider.options.path.replace(to, from), 'overview.json'))).toBe(true);
  });

  it('says how to make each secret that it reads from a file', () => {
    const script = readFileSync(join(ROOT, 'deploy/secrets.sh'), 'utf8');
    for (const [name, { file }] of Object.entries(compose.secrets)) {
      expect(file).toBe(`./secrets/${name}.txt`);
      expect(/^for name in (.*); do$/m.exec(script)?.[1]?.split(' ')).toContain(name);
    }
    expect(readFileSync(join(ROOT, '.gitignore'), 'utf8')).toContain('/secrets/\n');
  });
});

/** The text of README, all pages and the stacks. */
function allPages(): string {
  const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
  const paths = ['README.md', ...pages.map((name) => `docs/${name}`), ...STACKS];
  return paths.map((path) => readFileSync(join(ROOT, path), 'utf8')).join('\n');
}
