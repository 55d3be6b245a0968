import type { ErrorRequestHandler } from 'express';
import type { z } from 'zod';

/** An answer other than success; Express takes its status from it. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The body as the schema describes it, or a 400 that says what is wrong with it. */
export function bodyAs<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body ?? {});
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  throw new HttpError(400, faults.join('; '));
}

export interface WholeNumberRange {
  readonly name: string;
  readonly minimum: number;
  readonly maximum: number;
  /** Used when nothing was given; without it, a value is required. */
  readonly fallback?: number;
}

/** A whole number out of a path or query, or a 400 that says what is accepted. */
export function wholeNumber(value: unknown, { name, minimum, maximum, fallback }: WholeNumberRange): number {
  if (value === undefined && fallback !== undefined) return fallback;
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= minimum && number <= maximum) return number;
  throw new HttpError(
    400,
    `${name} must be a whole number from ${minimum} to ${maximum}, got ${JSON.stringify(value)}`,
  );
}

/** The last middleware of an app: what was thrown, as JSON. */
export const answerError: ErrorRequestHandler = (error, _req, res, next) => {
  // Too late for an answer: Express cuts the connection, so that nobody takes half of one for the whole.
  if (res.headersSent) return next(error);
  const status = typeof error?.status === 'number' ? error.status : 500;
  res.status(status).json({ error: String(error?.message ?? error) });
};
