import gateway from 'fast-gateway';
import { port, routes } from './arguments.mjs';

await gateway({ routes }).start(Number(port), '127.0.0.1');
