import { type GatewayProcess, type GatewayProcessOptions, startGatewayProcess } from './gatewayProcess.ts';

/** Gateway processes that share both their ports. */
export class Fleet implements AsyncDisposable {
  readonly external: string;
  readonly internal: string;
  readonly #options: GatewayProcessOptions;
  /** From the oldest to the newest. */
  readonly #gateways: GatewayProcess[];

  private constructor(options: GatewayProcessOptions, first: GatewayProcess) {
    this.#options = options;
    this.#gateways = [first];
    this.external = first.external;
    this.internal = first.internal;
  }

  static async start(count: number, { services, env }: Readonly<GatewayProcessOptions>): Promise<Fleet> {
    const shared = { services, env: { ...env, REUSE_PORT: 'true' } };
    const fleet = new Fleet(shared, await startGatewayProcess(shared));
    for (let more = 1; more < count; more += 1) await fleet.add();
    return fleet;
  }

  async add(): Promise<void> {
    const env = {
      ...this.#options.env,
      EXTERNAL_PORT: new URL(this.external).port,
      INTERNAL_PORT: new URL(this.internal).port,
    };
    this.#gateways.push(await startGatewayProcess({ ...this.#options, env }));
  }

  /** Starts a new gateway, and once it listens, has the oldest drain and end. */
  async restartOldest(): Promise<void> {
    await this.add();
    await this.#gateways.shift()?.stop();
  }

  /** SIGKILL for the oldest. */
  async killOldest(): Promise<void> {
    await this.#gateways.shift()?.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#gateways.map((gateway) => gateway.stop()));
  }
}
