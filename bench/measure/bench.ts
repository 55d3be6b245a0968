import { once } from 'node:events';
import { get } from 'node:http';
import { watchMachine } from '../machine/disturbance.ts';
import { progressLine } from '../report/report.ts';
import type { SubjectResult } from '../report/results.ts';
import { orderOfRound } from '../report/statistics.ts';
import { type Server, type ServerName, startServer } from '../servers/servers.ts';
import type { Site } from '../servers/site.ts';
import { IDLE_CLIENTS, measureClients, measureStart } from './idle.ts';
import { type Figures, measure } from './measure.ts';
import { againstBefore, type Contender, SUBJECTS, type Subject } from './subjects.ts';
import { verify } from './verify.ts';
import { warmUp } from './warmUp.ts';

export interface BenchOptions {
  readonly site: Site;
  readonly rounds: number;
  readonly seconds: number;
  /** Requests that each contender gets at least before it is measured; 0: none. */
  readonly warmUp: number;
  /** Called with a line for whoever watches. */
  readonly onProgress: (line: string) => void;
}

interface Ready {
  readonly contender: Contender;
  readonly server: Server;
}

const CONTROL = 'control';

/** Once under load. */
interface Turn {
  /** What it is called for whoever watches. */
  readonly round: string;
  readonly seconds: number;
  /** Requests per second; undefined: as many as it can take. */
  readonly rate?: number | undefined;
}

/** Servers are started once and stay, warm, for every subject that needs them. */
export class Bench {
  readonly #options: BenchOptions;
  readonly #servers = new Map<ServerName, Server | undefined>();

  constructor(options: Readonly<BenchOptions>) {
    this.#options = options;
  }

  /** Measures the subject of that name. Throws `WrongResponseError` when a contender does not answer as it should. */
  async run(name: string): Promise<SubjectResult> {
    const subject = SUBJECTS.find((candidate) => candidate.name === name);
    if (subject) return this.#compare(this.#options.site.against ? againstBefore(subject) : subject);
    if (name === 'start')
      return this.#repeat(name, 'A gateway that has just been started', { gateway: measureStart });
    return this.#repeat(name, `${IDLE_CLIENTS} idle clients that have each asked once`, {
      gateway: (site) => measureClients(site, 'gateway'),
      express: (site) => measureClients(site, 'express'),
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server?.stop()));
  }

  async #compare(subject: Subject): Promise<SubjectResult> {
    const { site, rounds: count, seconds } = this.#options;
    const { ready, missing } = await this.#prepare(subject);
    const control = controlOf(ready);
    const measured = [...ready, ...(control ? [control] : [])];
    const rounds = new Map<string, Figures[]>(measured.map(({ contender }) => [contender.name, []]));
    const leave = subject.name === '429' ? await this.#occupyAll(ready) : () => {};
    for (const { contender, server } of ready) await verify(subject, contender, server, site);
    for (const one of ready) await this.#warmUp(subject, one);
    const disturbance = watchMachine();
    for (let round = 0; round < count; round += 1) {
      for (const one of orderOfRound(measured, round)) {
        rounds.get(one.contender.name)?.push(
          await this.#measure(subject, one, {
            round: `${round + 1}/${count}`,
            seconds,
            rate: subject.rate,
          }),
        );
      }
    }
    leave();
    return {
      name: subject.name,
      title: subject.title,
      references: subject.references,
      rounds,
      missing,
      disturbance: disturbance(),
      ...(control && { control: { name: CONTROL, of: ready[0]?.contender.name ?? '' } }),
    };
  }

  #warmUp(subject: Subject, one: Ready): Promise<number> {
    const { seconds, warmUp: requests } = this.#options;
    return warmUp({
      requests,
      seconds,
      mibPerRequest: subject.mibPerRequest,
      measure: (turnSeconds) => this.#measure(subject, one, { round: 'warm-up', seconds: turnSeconds }),
    });
  }

  async #occupyAll(ready: readonly Ready[]): Promise<() => void> {
    const gateways = ready.map(({ server }) => server).filter(({ name }) => name.startsWith('gateway'));
    const leaving = await Promise.all(gateways.map((gateway) => occupy(gateway, this.#options.site)));
    return () => {
      for (const leave of leaving) leave();
    };
  }

  async #measure(subject: Subject, { contender, server }: Ready, turn: Turn): Promise<Figures> {
    const { site, onProgress } = this.#options;
    const { round, seconds, rate } = turn;
    const figures = await measure({ site, subject, contender, server, seconds, rate });
    onProgress(progressLine(subject.name, round, contender.name, figures));
    return figures;
  }

  async #prepare({ contenders }: Subject): Promise<{ ready: Ready[]; missing: string[] }> {
    const ready: Ready[] = [];
    const missing: string[] = [];
    for (const contender of contenders) {
      const server = await this.#server(contender.server);
      if (server) ready.push({ contender, server });
      else missing.push(contender.name);
    }
    return { ready, missing };
  }

  async #server(name: ServerName): Promise<Server | undefined> {
    if (!this.#servers.has(name)) this.#servers.set(name, await startServer(name, this.#options.site));
    return this.#servers.get(name);
  }

  async #repeat(
    name: string,
    title: string,
    contenders: Readonly<Record<string, (site: Site) => Promise<Figures>>>,
  ): Promise<SubjectResult> {
    const { site, rounds: count, onProgress } = this.#options;
    const rounds = new Map<string, Figures[]>(Object.keys(contenders).map((contender) => [contender, []]));
    for (let round = 1; round <= count; round += 1) {
      for (const [contender, measureOnce] of Object.entries(contenders)) {
        const figures = await measureOnce(site);
        onProgress(progressLine(name, `${round}/${count}`, contender, figures));
        rounds.get(contender)?.push(figures);
      }
    }
    return { name, title, references: [], rounds, missing: [] };
  }
}

/** The first contender once more: what differs between the two is the machine's doing. */
function controlOf([first]: readonly Ready[]): Ready | undefined {
  return first && { ...first, contender: { ...first.contender, name: CONTROL } };
}

/** Takes the only permit of the busy service. Returns what gives it back. */
export async function occupy(gateway: Server, site: Site): Promise<() => void> {
  // One of the two is let in and never answered; the other one's refusal tells that it is.
  const requests = [1, 2].map(() =>
    get(`http://${gateway.address}/busy/hold`, {
      headers: { authorization: `Bearer ${site.token}` },
      agent: false,
    }),
  );
  for (const request of requests) request.on('error', () => {});
  await Promise.race(requests.map((request) => once(request, 'response')));
  return () => {
    for (const request of requests) request.destroy();
  };
}
