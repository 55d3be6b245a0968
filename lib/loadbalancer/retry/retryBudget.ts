export interface RetryBudgetOptions {
  /** Retries earned by each request, 0 to 1. Default 0.1. */
  readonly perRequest?: number;
  /** Retries to begin with, so that the first faults of a quiet service are covered too. Default 10. */
  readonly reserve?: number;
  /** Retries that may be saved up at the most. Default 100. */
  readonly max?: number;
}

/** Keeps second tries a small part of all requests, so that they cannot multiply an outage. */
export class RetryBudget {
  readonly #perRequest: number;
  readonly #max: number;
  #saved: number;

  constructor({ perRequest = 0.1, reserve = 10, max = 100 }: Readonly<RetryBudgetOptions> = {}) {
    this.#perRequest = perRequest;
    this.#max = max;
    this.#saved = reserve;
  }

  /** A request has come. */
  earn(): void {
    this.#saved = Math.min(this.#max, this.#saved + this.#perRequest);
  }

  /** Whether one more try may be made; it is then paid for. */
  spend(): boolean {
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}
