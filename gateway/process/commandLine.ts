/** What `--help` prints. */
export const USAGE = `Usage: npm start      or      node gateway/main.ts

Starts the gateway until SIGTERM or Ctrl-C. It has no flags: settings are environment variables, or lines of a file
.env in the working directory. docs/settings.md lists them, and npm run config:check shows those in force.

  -h, --help  print this and stop
`;

/** What is to be printed instead of a start; `undefined`: nothing, start. An error when a flag means nothing here. */
export function printedInstead(args: readonly string[]): string | undefined {
  const [first] = args;
  if (first === undefined) return undefined;
  if (args.length === 1 && (first === '--help' || first === '-h')) return USAGE;
  const shown = JSON.stringify(args.find((arg) => arg !== '--help' && arg !== '-h') ?? first);
  throw new Error(
    `The gateway has no flags, and was given ${shown}: settings are environment variables.\n\n${USAGE}`,
  );
}
