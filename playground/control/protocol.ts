import { z } from 'zod';

/** A request: the words that were typed, as JSON. The reply is JSON as well; either ends with its direction. */
export const REQUEST = z.array(z.string());

const PROCESS_STATUS = z.object({
  /** `gateway`, `registry`, `budgeting.2`, ... */
  name: z.string(),
  url: z.string(),
  /** `null` when it does not run. */
  pid: z.int().nullable(),
  /** For people: `running, slow by 2000 ms`. */
  state: z.string(),
});

export type ProcessStatus = Readonly<z.infer<typeof PROCESS_STATUS>>;

/** How those are now that the command was about, or why it was not carried out. */
export const REPLY = z.union([
  z.object({ processes: z.array(PROCESS_STATUS) }),
  z.object({ error: z.string() }),
]);

export type Reply = z.infer<typeof REPLY>;
