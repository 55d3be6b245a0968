/** The port on which a request arrived. */
export type Port = 'external' | 'internal';
