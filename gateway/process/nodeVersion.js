// Ends a start on a Node that is too old with one line, instead of whatever that Node cannot read first. So this file,
// and what is loaded before it, is written for Node 20.
const OLDEST = 26;

if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  process.stderr.write(
    `The gateway needs Node ${OLDEST} or newer, and this is ${process.version}. Its packages bring one: ` +
      'npm ci --omit=dev, then npm start\n',
  );
  process.exit(1);
}
