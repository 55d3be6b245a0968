/** Which of the two ports a request came in on. */
export type Port = 'external' | 'internal';
