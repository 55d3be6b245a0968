/** A user as tokens and profiles know it. */
export interface User {
  readonly id: number;
  readonly uuid: string;
  readonly email: string;
  readonly username: string;
  readonly role: string;
}

/** There from the start with the password `password`, for the walk-throughs; the first id is the documentation's. */
export const READY_MADE_USERS: readonly [User, ...User[]] = [
  {
    id: 123,
    uuid: '6f1d3c52-0b0e-4c5e-9f0a-6d1f6a1f0123',
    email: 'test@example.com',
    username: 'test@example.com',
    role: 'student',
  },
  {
    id: 124,
    uuid: '2b7a9e40-5d7c-4a39-8a53-0c9f4e5b0124',
    email: 'user@example.com',
    username: 'user@example.com',
    role: 'student',
  },
  // Not one of the original's: for a route that asks for a role.
  {
    id: 122,
    uuid: '9d0c1f7a-3f55-4c1c-9a7e-5b1d2c3e0122',
    email: 'admin@example.com',
    username: 'admin@example.com',
    role: 'admin',
  },
];

export const READY_MADE_PASSWORD = 'password';
