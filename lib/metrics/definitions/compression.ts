import { counter } from '../series/definition.ts';

/** What became of responses on routes with compression. */
export const COMPRESSION_COUNTERS = {
  compressedFrom: counter(
    'gateway_compression_bytes_in_total',
    ['service', 'coding'],
    'Content of responses that were compressed, before that.',
  ),
  compressedTo: counter(
    'gateway_compression_bytes_out_total',
    ['service', 'coding'],
    'The same after that. Stored content is compressed once and counted each time that it is sent.',
  ),
  uncoded: counter(
    'gateway_compression_uncoded_total',
    ['service', 'cause'],
    'Responses on routes with compression that were sent uncompressed.',
  ),
  codingFailures: counter(
    'gateway_compression_failures_total',
    ['service'],
    'Responses that broke off because they could not be compressed.',
  ),
};
