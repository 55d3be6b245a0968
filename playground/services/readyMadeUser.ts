/** There from the start, for the walk-throughs; the id is the one the documentation uses. */
export const READY_MADE_USER = { id: '123', username: 'test@example.com', password: 'password' } as const;
