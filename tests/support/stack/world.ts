import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RequestHandler } from 'express';
import { registryApp } from '../../../playground/registry/app.ts';
import type { RegistryForm } from '../../../playground/registry/forms.ts';
import { check } from '../../../playground/registry/healthChecks.ts';
import { Replicas } from '../../../playground/registry/replicas.ts';
import { replicaIdOf, serverFor } from '../../../playground/replica/service.ts';
import { run } from '../processes/command.ts';
import { communicationServer } from './hub.ts';
import { STACK_SERVICES, type StackService, stackServiceOf } from './services.ts';

/** Containers have addresses of their own in the stack's network. */
const NETWORK = '127.20.0.';
const FIRST_ADDRESS = 11;
/** The base of them all: no real address, but what /etc/hosts must have. */
const LOCALHOST = '127.0.0.1 localhost';

export interface WorldOptions {
  readonly form: RegistryForm;
  readonly registryPort: number;
  /** What the names of tasks begin with: `padstack_`. */
  readonly prefix: string;
  /** What user management signs with: `UM_JWT_SECRET_KEY`. */
  readonly secret: string;
  /** Hosts of the Redis servers, each on port 6379. */
  readonly redisHosts: readonly string[];
  /** The file that is seen as /etc/hosts. */
  readonly hostsFile: string;
}

/** One running task of a service. */
interface Task {
  readonly service: StackService;
  /** What it registers as its host. */
  readonly host: string;
  readonly address: string;
  readonly server: Server;
  readonly requests: TaskRequest[];
  /** 0: it works. */
  failsWith: number;
}

export interface TaskRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TaskInfo {
  readonly service: string;
  readonly host: string;
  readonly requests: readonly TaskRequest[];
}

/** A call that the registry got, and what it answered. */
export interface RegistryCall {
  readonly method: string;
  readonly target: string;
  readonly status: number;
}

/** Everything around the gateway, in a network where its names resolve: the test calls these methods from outside. */
export class World {
  readonly #options: WorldOptions;
  readonly #replicas = new Replicas();
  readonly #registryCalls: RegistryCall[] = [];
  readonly #addresses = new Map<string, string>();
  #tasks: Task[] = [];
  #lastAddress = FIRST_ADDRESS;
  #gateway: ChildProcess | undefined;
  #output = '';

  constructor(options: WorldOptions) {
    this.#options = options;
  }

  /** Starts the registry, Redis and two tasks of each service, none of which has registered yet. */
  async start(): Promise<void> {
    const { redisHosts, registryPort, form } = this.#options;
    for (const host of redisHosts) await startRedis(this.#nameFor(host));
    const app = registryApp(this.#replicas, { form });
    const registry = createServer((req, res) => {
      const { method = '', url: target = '' } = req;
      res.once('finish', () => this.#registryCalls.push({ method, target, status: res.statusCode }));
      app(req, res);
    });
    registry.listen(registryPort, this.#nameFor('service-discovery'));
    await once(registry, 'listening');
    for (let n = 0; n < 2; n += 1) await Promise.all(STACK_SERVICES.map(({ name }) => this.startTask(name)));
  }

  /** Starts one more task, and resolves to its host. It does not register by itself. */
  async startTask(name: string): Promise<string> {
    const service = stackServiceOf(name);
    const number = 1 + this.#tasks.filter((task) => task.service === service).length;
    const address = this.#nextAddress();
    const id = taskName(this.#options.prefix, service, number);
    const task: Task = {
      ...{ service, address, host: service.registersAddress ? address : id, requests: [], failsWith: 0 },
      server: await this.#serverOf(service, id, (req, res, next) => {
        if (req.path === '/health') return next();
        const headers = req.headers as Record<string, string>;
        task.requests.push({ method: req.method, target: req.originalUrl, headers });
        if (task.failsWith > 0) return void res.status(task.failsWith).json({ error: 'as told' });
        next();
      }),
    };
    this.#tasks.push(task);
    task.server.listen(service.port, address);
    await once(task.server, 'listening');
    this.#addresses.set(id, address);
    for (const composeName of service.composeNames) {
      if (!this.#addresses.has(composeName)) this.#addresses.set(composeName, address);
    }
    this.#writeHosts();
    return task.host;
  }

  /** Registers a task as its service does when it starts, under its registry name or another. */
  async register(host: string, name?: string): Promise<void> {
    const { service } = this.#task(host);
    const replica = this.#replicas.register({
      ...{ name: name ?? service.registryName, host, port: service.port, health_check: 'health' },
    });
    // The next check comes at once, for a busy machine may take too long for the first.
    do await check(this.#replicas, replica);
    while (this.#replicas.statusOf(replica.id) === 'unhealthy');
  }

  /** A task that ends without a word, as Swarm ends those that it scales down. */
  async stopTask(host: string): Promise<void> {
    const { server } = this.#task(host);
    this.#tasks = this.#tasks.filter((task) => task.host !== host);
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }

  /** From now on it answers everything but health checks with this status; 0: it works. */
  async fail(host: string, status: number): Promise<void> {
    this.#task(host).failsWith = status;
  }

  async tasks(): Promise<readonly TaskInfo[]> {
    return this.#tasks.map(({ service, host, requests }) => ({ service: service.name, host, requests }));
  }

  /** What the registry lists. */
  async listed() {
    return this.#replicas.list();
  }

  async registryCalls(): Promise<readonly RegistryCall[]> {
    return this.#registryCalls;
  }

  /** All keys of one Redis. */
  async redisKeys(host: string): Promise<readonly string[]> {
    const { stdout } = await run('redis-cli', ['-h', this.#addresses.get(host) ?? host, '--scan']);
    return String(stdout).split('\n').filter(Boolean);
  }

  /** Starts the gateway as its image does, with these variables alone. */
  async startGateway(command: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
    const [program = '', ...args] = command;
    this.#output = '';
    this.#gateway = spawn(program, args, {
      // Where no .env is.
      cwd: mkdtempSync(join(tmpdir(), 'stack-')),
      env: { ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#gateway.stdout, this.#gateway.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        this.#output += text;
      });
    }
  }

  /** All it has written. */
  async gatewayOutput(): Promise<string> {
    return this.#output;
  }

  /** The exit code of the gateway after a SIGTERM. */
  async stopGateway(): Promise<number | null> {
    if (!this.#gateway) return null;
    const exited = once(this.#gateway, 'exit');
    this.#gateway.kill('SIGTERM');
    const [code] = await exited;
    return code;
  }

  #task(host: string): Task {
    const found = this.#tasks.find((task) => task.host === host);
    if (!found) throw new Error(`no task ${host} runs`);
    return found;
  }

  async #serverOf(service: StackService, id: string, before: RequestHandler): Promise<Server> {
    const replica = { service: service.name, id };
    if (service.name === 'communication') return communicationServer(replica, [before]);
    const env = { JWT_SECRET: this.#options.secret };
    return serverFor(replica, env, new AbortController().signal, [before]);
  }

  /** An address for a name of the compose file. */
  #nameFor(name: string): string {
    const address = this.#nextAddress();
    this.#addresses.set(name, address);
    this.#writeHosts();
    return address;
  }

  #nextAddress(): string {
    this.#lastAddress += 1;
    return NETWORK + this.#lastAddress;
  }

  #writeHosts(): void {
    const lines = Array.from(this.#addresses, ([name, address]) => `${address} ${name}`);
    writeFileSync(this.#options.hostsFile, `${[LOCALHOST, ...lines].join('\n')}\n`);
  }
}

/** `test-stack_tm-service.1.k7oqrdzi84fqlnd59vy81zums`. */
function taskName(prefix: string, { name, composeNames }: StackService, number: number): string {
  const suffix = replicaIdOf(name, number).split('.').at(-1);
  return `${prefix}${composeNames[0]}.${number}.${suffix}`;
}

async function startRedis(address: string): Promise<void> {
  const settings = ['--bind', address, '--port', '6379', '--save', '', '--loglevel', 'notice'];
  const server = spawn('redis-server', settings, {
    cwd: mkdtempSync(join(tmpdir(), 'stack-redis-')),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ready = Promise.withResolvers<void>();
  server.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('Ready to accept connections')) ready.resolve();
  });
  server.once('exit', (code) => ready.reject(new Error(`redis-server ended with ${code}`)));
  await ready.promise;
}
