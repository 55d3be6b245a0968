import { z } from 'zod';
import { FLAG, policy } from './policy.ts';

export interface PublicPathsSettings {
  /** Whether `Location` and cookies of the service get the prefix back that was cut off its paths. */
  readonly publicPaths: boolean;
}

export const publicPaths = policy({
  schema: z
    .boolean(FLAG)
    .describe('Whether Location and cookie paths get the prefix back that was cut. Default: false.'),
  settings: (said): PublicPathsSettings => ({ publicPaths: said ?? false }),
});
