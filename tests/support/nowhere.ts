import type { ResponseSink } from '../../lib/response/sink.ts';

/** For an exchange whose response nobody writes. */
export const nowhere: ResponseSink = {
  interim() {},
  head() {},
  flush() {},
  content: () => true,
  end() {},
  abort() {},
  onDrain() {},
  offDrain() {},
};
