/** What keeps a file from being read. */
export interface Unreadable {
  readonly problem: string;
  /** `:12:5`; '' where the place is not known. */
  readonly place: string;
}
