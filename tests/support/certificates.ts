import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureCommand } from './processes/command.ts';

/** A certificate of 127.0.0.1 that signs itself, and its key, in PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Made by openssl. `name` becomes its CN. */
export function makeCertificate(name: string, days = 30): TestCertificate {
  ensureCommand('openssl', 'openssl');
  const directory = mkdtempSync(join(tmpdir(), 'gateway-openssl-'));
  try {
    const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    const making = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const naming = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
    openssl(...making, ...naming, '-days', String(days), '-out', cert, '-keyout', key);
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export interface IssueOptions {
  /** Below 0: it has expired. Default 30. */
  readonly days?: number;
  /** Default: 127.0.0.1 and localhost. */
  readonly names?: string;
}

/** A CA of one's own. */
export interface TestAuthority extends TestCertificate {
  /** A certificate that it has signed, and its key. */
  issue(name: string, options?: IssueOptions): TestCertificate;
}

export function makeAuthority(name: string): TestAuthority {
  const authority = makeCertificate(name);
  return { ...authority, issue: (subject, options) => issue(authority, subject, options) };
}

function issue(
  authority: TestCertificate,
  subject: string,
  { days = 30, names = 'IP:127.0.0.1,DNS:localhost' }: IssueOptions = {},
): TestCertificate {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-openssl-'));
  const at = (file: string) => join(directory, file);
  try {
    writeFileSync(at('ca.pem'), authority.cert);
    writeFileSync(at('ca.key'), authority.key);
    writeFileSync(at('extensions'), `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', ...key, '-subj', `/CN=${subject}`, '-out', at('csr'), '-keyout', at('key'));
    const signing = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'];
    const terms = ['-days', String(days), '-extfile', at('extensions')];
    openssl('x509', '-req', '-in', at('csr'), ...signing, ...terms, '-out', at('cert'));
    return { cert: readFileSync(at('cert'), 'utf8'), key: readFileSync(at('key'), 'utf8') };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The key with a passphrase around it. */
export function encrypted(key: string): string {
  return execFileSync('openssl', ['pkcs8', '-topk8', '-passout', 'pass:secret'], {
    input: key,
    encoding: 'utf8',
    stdio: 'pipe',
  });
}

/** A directory for a pair of files, and the ways in which such a pair is renewed. */
export class CertificateFiles implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'gateway-tls-'));
  readonly certFile = join(this.directory, 'tls.crt');
  readonly keyFile = join(this.directory, 'tls.key');
  #versions = 0;

  /** Written over, as a person does. */
  write({ cert, key }: Partial<TestCertificate>): void {
    if (cert !== undefined) writeFileSync(this.certFile, cert);
    if (key !== undefined) writeFileSync(this.keyFile, key);
  }

  /** Both are links through `..data`, a link to a directory that is swapped: a Secret of Kubernetes. */
  swapDirectory(pair: TestCertificate): void {
    const version = `..version${this.#versions++}`;
    mkdirSync(join(this.directory, version));
    writeFileSync(join(this.directory, version, 'tls.crt'), pair.cert);
    writeFileSync(join(this.directory, version, 'tls.key'), pair.key);
    this.#link(version, '..data');
    this.#link('..data/tls.crt', 'tls.crt');
    this.#link('..data/tls.key', 'tls.key');
  }

  /** Both are links to numbered files in an archive, swapped one after the other: certbot. */
  swapFiles(pair: TestCertificate): void {
    const number = this.#versions++;
    mkdirSync(join(this.directory, 'archive'), { recursive: true });
    writeFileSync(join(this.directory, 'archive', `cert${number}.pem`), pair.cert);
    writeFileSync(join(this.directory, 'archive', `key${number}.pem`), pair.key);
    this.#link(`archive/cert${number}.pem`, 'tls.crt');
    this.#link(`archive/key${number}.pem`, 'tls.key');
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** In one step, whatever was there before. */
  #link(target: string, name: string): void {
    const fresh = join(this.directory, '..fresh');
    symlinkSync(target, fresh);
    renameSync(fresh, join(this.directory, name));
  }
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
