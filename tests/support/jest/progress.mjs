import { relative } from 'node:path';

/** Says which files a long run is going to run, and at each file's start and end how far the run is. */
export default class Progress {
  #begun = 0;
  #ended = 0;
  #total = 0;

  onRunStart({ numTotalTestSuites }) {
    this.#total = numTotalTestSuites;
    say(`${this.#total} test files to run; together with npm run test:all these are all there are`);
  }

  onTestFileStart({ path }) {
    this.#begun += 1;
    say(`[${this.#begun} of ${this.#total}] begins: ${relative(process.cwd(), path)}`);
  }

  onTestFileResult({ path }, { perfStats, numFailingTests }) {
    this.#ended += 1;
    const seconds = Math.round(perfStats.runtime / 1000);
    const outcome = numFailingTests ? `${numFailingTests} tests failed` : 'done';
    say(`[${this.#ended} of ${this.#total}] ${outcome} after ${seconds} s: ${relative(process.cwd(), path)}`);
  }
}

function say(text) {
  process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`);
}
