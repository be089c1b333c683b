import type { Config } from '../../config.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

const TIMEOUT_MS = 5_000;
const NAME = 'public URL';

/** Whether PUBLIC_URL leads to this server: what answers there must call itself by that very name. */
export async function checkPublicUrl({ publicUrl }: Config): Promise<Check> {
  const url = `${publicUrl}/.well-known/openid-configuration`;
  let response: Response;
  try {
    response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (err) {
    return unreachable(publicUrl, err);
  }
  if (response.status !== 200) {
    return fail(
      NAME,
      `${url} answers ${response.status}`,
      'PUBLIC_URL must lead to this server, past every proxy in front of it.',
    );
  }
  const issuer = await issuerIn(response);
  return issuer === publicUrl
    ? ok(NAME, `${publicUrl}, the issuer matches`)
    : fail(
        NAME,
        `${publicUrl} calls itself ${issuer ?? 'nothing'}`,
        'Something else answers there, or the server was started with another PUBLIC_URL.',
      );
}

function unreachable(publicUrl: string, err: unknown): Check {
  const cause = err instanceof Error ? err.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer';
  return code === 'ECONNREFUSED'
    ? warn(NAME, `no server runs at ${publicUrl}`, 'Start it, then run the doctor again.')
    : fail(
        NAME,
        `${publicUrl} cannot be reached from here (${code})`,
        'Check its name in DNS, its certificate and the proxies in front of it.',
      );
}

async function issuerIn(response: Response): Promise<string | undefined> {
  try {
    const body: unknown = await response.json();
    const issuer = typeof body === 'object' && body !== null && 'issuer' in body ? body.issuer : undefined;
    return typeof issuer === 'string' ? issuer : undefined;
  } catch {
    return undefined;
  }
}
