// Runs the stack around the gateway, in the network namespace that it is started in, for tests/support/stack/stack.ts.
import '../../../playground/lifeline.ts';
import { connect, createServer } from 'node:net';
import { World, type WorldOptions } from '../stack/world.ts';

/** A call of one method of the world. */
interface Call {
  readonly n: number;
  readonly method: keyof World;
  readonly args: readonly unknown[];
}

const [options = '', door = ''] = process.argv.slice(2);
const world = new World(JSON.parse(options) as WorldOptions);

// A way in: the first line names the host and port that the rest is for.
createServer((outside) => {
  outside
    .on('error', () => {})
    .once('data', (chunk: Buffer) => {
      const end = chunk.indexOf('\n');
      const [host, port] = chunk.toString('latin1', 0, end).split(':');
      const inside = connect(Number(port), host).setNoDelay();
      inside.on('error', () => outside.destroy());
      outside.once('close', () => inside.destroy());
      inside.once('close', () => outside.destroy());
      inside.write(chunk.subarray(end + 1));
      inside.pipe(outside).pipe(inside);
    });
}).listen(door, () => process.send?.('open'));

process.on('message', async ({ n, method, args }: Call) => {
  try {
    const call = world[method] as (...args: unknown[]) => Promise<unknown>;
    process.send?.({ n, result: await call.apply(world, [...args]) });
  } catch (error) {
    process.send?.({ n, error: String(error) });
  }
});
