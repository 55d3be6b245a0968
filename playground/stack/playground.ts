import { randomBytes } from 'node:crypto';
import type { Server } from 'node:net';
import pLimit from 'p-limit';
import { SERVICE_NAMES, type ServiceName } from '../catalogue.ts';
import type { Command } from '../control/command.ts';
import type { ProcessStatus } from '../control/protocol.ts';
import { listenForCommands } from '../control/server.ts';
import type { Flags } from '../flags.ts';
import type { PlaygroundUrls } from '../messages.ts';
import { type PageServer, startPage } from '../page/server.ts';
import { LOOPBACK, settlePort } from '../ports.ts';
import { Child, type ChildOptions, describeExit } from './child.ts';
import {
  GATEWAY_EXEC_ARGV,
  GATEWAY_MODULE,
  gatewayEnvironment,
  gatewayReady,
  notPassedOn,
} from './gateway.ts';
import { type PlannedReplica, planReplica, planReplicas } from './plan.ts';
import { assertRedisListens } from './redis.ts';
import { nameOf } from './replicaProcess.ts';
import { ReplicaSet } from './replicaSet.ts';
import { childLine, deathNotice, startedLine } from './report.ts';
import { createRunFiles, type RunFiles } from './runFiles.ts';

const SERVICE_MODULE = new URL('../serve.ts', import.meta.url);
const REGISTRY_MODULE = new URL('../registry/main.ts', import.meta.url);

const JWT_SECRET_BYTES = 32;
/** The gateway drains for as long as it is set to; this is for one that hangs. */
const GATEWAY_GRACE_MS = 60_000;
const SERVICE_GRACE_MS = 5000;

const GATEWAY = 'gateway';
const REGISTRY = 'registry';

export interface PlaygroundOptions {
  readonly flags: Flags;
  readonly env: NodeJS.ProcessEnv;
  /** Takes what people are to see, one or more lines at a time. */
  readonly print: (text: string) => void;
}

/** All processes of one playground, by name: `gateway`, `registry`, `budgeting.2`. */
export class Playground {
  readonly #flags: Flags;
  readonly #env: NodeJS.ProcessEnv;
  readonly #print: (text: string) => void;
  readonly #jwtSecret: string;
  readonly #children = new Map<string, Child>();
  readonly #stopping = new AbortController();
  readonly #replicas: ReplicaSet;
  readonly #oneCommand = pLimit(1);
  readonly #files: RunFiles = createRunFiles();
  #urls: Partial<Omit<PlaygroundUrls, 'services'>> = {};
  #control: Server | undefined;
  #page: PageServer | undefined;

  constructor({ flags, env, print }: PlaygroundOptions) {
    this.#flags = flags;
    this.#env = env;
    this.#print = print;
    this.#jwtSecret = env.JWT_SECRET || randomBytes(JWT_SECRET_BYTES).toString('hex');
    this.#replicas = new ReplicaSet({
      launch: (replica) => this.#launchReplica(replica),
      plan: (service, number, taken) => planReplica(flags, service, number, taken),
    });
  }

  get pids(): Record<string, number> {
    return Object.fromEntries(Array.from(this.#children.values(), ({ name, pid }) => [name, pid]));
  }

  /** Resolves when everything runs and is ready. Whatever it rejects with, `stop` is still due. */
  async start(): Promise<PlaygroundUrls> {
    if (this.#flags.redisUrl) await assertRedisListens(this.#flags.redisUrl);
    const planned = await planReplicas(this.#flags);
    const registry = await this.#startRegistry();
    this.#urls = { registry };
    const services = await this.#startServices(planned);
    if (this.#flags.gateway) this.#urls = { registry, ...(await this.#startGateway(registry, services)) };
    this.#control = await listenForCommands(Number(new URL(registry).port), (command) =>
      this.#oneCommand(() => this.#obey(command)),
    );
    return { registry, ...this.#urls, services };
  }

  /** Never resolves; rejects with `ChildDiedError` when the gateway, if there is one, has died by itself. */
  async gatewayDied(): Promise<never> {
    const gateway = this.#children.get(GATEWAY);
    return gateway ? gateway.died() : new Promise(() => {});
  }

  /** Stops every child in order: first the gateway, which needs the others to drain. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#control?.close();
    await this.#page?.close();
    const { gateway, registry, services } = this.#byRole();
    // The gateway waits for them, and none can end while it is frozen.
    await Promise.all(services.map((child) => child.thaw()));
    await gateway?.stop(GATEWAY_GRACE_MS);
    await Promise.all(services.map((child) => child.stop(SERVICE_GRACE_MS)));
    await registry?.stop(SERVICE_GRACE_MS);
    await this.#files.remove();
  }

  /** Ends every child at once. */
  kill(): void {
    for (const child of this.#children.values()) child.kill();
  }

  async #startRegistry(): Promise<string> {
    const { registryPort, registryForm } = this.#flags;
    const args = ['--port', String(registryPort), '--registry-form', registryForm];
    return this.#startListening({
      name: REGISTRY,
      module: REGISTRY_MODULE,
      args,
      env: this.#childEnvironment(),
    });
  }

  async #startServices(planned: readonly PlannedReplica[]) {
    const replicas = await Promise.all(
      planned.map(async (one) => {
        const replica = await this.#replicas.start(one);
        this.#print(startedLine(replica.name, replica.url));
        return replica;
      }),
    );
    const urlsOf = (name: ServiceName) =>
      replicas.filter(({ planned: { service } }) => service === name).map(({ url }) => url);
    return Object.fromEntries(SERVICE_NAMES.map((name) => [name, urlsOf(name)])) as Record<
      ServiceName,
      string[]
    >;
  }

  #launchReplica(replica: PlannedReplica): Child {
    const { service, number, port } = replica;
    return this.#spawn({
      name: nameOf(replica),
      module: SERVICE_MODULE,
      args: [
        '--service',
        service,
        '--replica',
        String(number),
        '--port',
        String(port),
        '--registry',
        this.#urls.registry ?? '',
      ],
      env: this.#childEnvironment(service === 'userManagement' ? this.#jwtSecret : undefined),
    });
  }

  /** Of registry and services: they listen on loopback, and only who signs tokens knows the secret. */
  #childEnvironment(jwtSecret?: string): NodeJS.ProcessEnv {
    return { ...this.#env, LISTEN_HOST: undefined, JWT_SECRET: jwtSecret, JWT_SECRET_FILE: undefined };
  }

  async #startGateway(registryUrl: string, services: PlaygroundUrls['services']) {
    const gatewayFile = await this.#files.writeGatewayFile(services);
    const externalPort = await settlePort(this.#flags.externalPort);
    const internalPort = await settlePort(this.#flags.internalPort);
    const pagePort = await this.#startPage(externalPort);
    const { dataDir } = this.#files;
    const { redisUrl } = this.#flags;
    const jwtSecret = this.#jwtSecret;
    const ports = { externalPort, internalPort, pagePort };
    const settings = { ...ports, registryUrl, gatewayFile, dataDir, jwtSecret, redisUrl };
    for (const line of notPassedOn(settings, this.#env)) this.#print(line);
    const gateway = this.#spawn({
      name: GATEWAY,
      module: GATEWAY_MODULE,
      execArgv: GATEWAY_EXEC_ARGV,
      env: gatewayEnvironment(settings, this.#env),
    });
    const external = `http://${LOOPBACK}:${externalPort}`;
    await Promise.race([gatewayReady(external, this.#print, this.#stopping.signal), gateway.died()]);
    this.#print(startedLine(GATEWAY, external));
    const page = `http://${LOOPBACK}:${pagePort}`;
    return { external, internal: `http://${LOOPBACK}:${internalPort}`, page };
  }

  /** Resolves to its port. */
  async #startPage(gatewayPort: number): Promise<number> {
    this.#page = await startPage({ port: this.#flags.pagePort, gatewayPort });
    this.#print(startedLine('page', this.#page.url));
    return Number(new URL(this.#page.url).port);
  }

  /** The child's URL, once it listens. */
  async #startListening(options: Omit<ChildOptions, 'onLine'>): Promise<string> {
    const child = this.#spawn(options);
    const url = `http://${LOOPBACK}:${await child.listening()}`;
    this.#print(startedLine(child.name, url));
    return url;
  }

  #spawn(options: Omit<ChildOptions, 'onLine'>): Child {
    this.#stopping.signal.throwIfAborted();
    const { name } = options;
    // The gateway's lines are what people came to see: they stay as they are.
    const onLine = (line: string) => this.#print(name === GATEWAY ? line : childLine(name, line));
    const child = new Child({ ...options, cwd: this.#files.directory, onLine });
    this.#children.set(name, child);
    void this.#reportDeath(child);
    return child;
  }

  async #reportDeath(child: Child): Promise<void> {
    const exit = await child.exited;
    if (!this.#stopping.signal.aborted && !child.isDismissed)
      this.#print(deathNotice(child, describeExit(exit)));
  }

  async #obey(command: Command): Promise<ProcessStatus[]> {
    if (command.action === 'list') return this.#statuses();
    const replica = await this.#replicas.obey(command);
    this.#print(childLine('control', `${command.action} ${command.name} ${command.value || ''}`.trimEnd()));
    if (command.action === 'join') this.#print(startedLine(replica.name, replica.url));
    return [replica.status];
  }

  #statuses(): ProcessStatus[] {
    const { registry = '', external = '' } = this.#urls;
    const urls = new Map([
      [GATEWAY, external],
      [REGISTRY, registry],
    ]);
    const infrastructure = Array.from(urls, ([name, url]) => {
      const child = this.#children.get(name);
      const state = child?.exit ? describeExit(child.exit) : 'running';
      return child && { name, url, pid: child.exit ? null : child.pid, state };
    });
    return [...infrastructure.filter((status) => status !== undefined), ...this.#replicas.statuses];
  }

  #byRole() {
    const { gateway, registry, ...services } = Object.fromEntries(this.#children);
    return { gateway, registry, services: Object.values(services) };
  }
}
