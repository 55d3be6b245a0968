/** The port on which a request arrived. */
export type Port = 'external' | 'internal';

/** The same, and the port that sends clients to the external one over TLS. */
export type ListeningPort = Port | 'http';
