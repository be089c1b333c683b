import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  /** PEM. */
  key: string;
  cert: string;
}

/** An authority of a test's own, which nobody trusts unless they are told to. */
export interface Authority {
  /** PEM. */
  cert: string;
  /** @param host a name, or an IPv4 address. @param days negative: it has expired */
  issue(host: string, days?: number): Certificate;
  close(): Promise<void>;
}

export async function createAuthority(): Promise<Authority> {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-ca-'));
  const path = (name: string) => join(directory, name);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
  );
  const cert = readFileSync(path('ca.crt'), 'utf8');
  let serial = 1;

  return {
    cert,
    issue(host, days = 1) {
      serial += 1;
      const name = /^[\d.]+$/.test(host) ? `IP:${host}` : `DNS:${host}`;
      writeFileSync(path('extensions'), `subjectAltName=${name}\n`);
      openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', `/CN=${host}`);
      openssl(
        ...'x509 -req -in server.csr -CA ca.crt -CAkey ca.key -out server.crt -extfile extensions'.split(' '),
        '-set_serial',
        String(serial),
        '-days',
        String(days),
      );
      return {
        key: readFileSync(path('server.key'), 'utf8'),
        cert: readFileSync(path('server.crt'), 'utf8'),
      };
    },
    close: () => rm(directory, { recursive: true, force: true }),
  };
}
