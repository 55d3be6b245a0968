/** What the bench tells every peer: where to listen, who answers under `/budgeting`, and who under `/echo`. */
export const [port, upstream, echo] = process.argv.slice(2);

/** `/budgeting/api?x=1` reaches the upstream as `/api?x=1`, here as in the gateway. */
export const routes = [
  { prefix: '/budgeting', target: upstream },
  { prefix: '/echo', target: echo },
];
