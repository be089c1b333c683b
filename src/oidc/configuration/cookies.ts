import { DEFAULT_TENANT_SLUG } from '../../tenants/tenant.ts';
import type { TenantContext } from '../provider-deps.ts';

/**
 * Names differ by tenant, since tenants under one origin share the browser's cookie jar. Over https the
 * session cookie carries `__Host-`: no other host and no path can set it (RFC 6265bis §4.1.3).
 */
export function cookieNames({ publicUrl, tenant }: Pick<TenantContext, 'publicUrl' | 'tenant'>) {
  const secure = publicUrl.startsWith('https://');
  // Servers side by side on one host, as in development, share the jar as well: it knows no ports (RFC 6265 §8.5).
  const port = secure ? '' : new URL(publicUrl).port;
  const suffix = [port, tenant.slug === DEFAULT_TENANT_SLUG ? '' : tenant.slug]
    .map((part) => part && `_${part}`)
    .join('');
  return {
    session: `${secure ? '__Host-' : ''}gatehouse_session${suffix}`,
    // Bound to the path of one interaction each, so tabs do not meet; `__Host-` demands the path `/`.
    interaction: `${secure ? '__Secure-' : ''}gatehouse_interaction${suffix}`,
    resume: `${secure ? '__Secure-' : ''}gatehouse_resume${suffix}`,
    accounts: `${secure ? '__Host-' : ''}gatehouse_accounts${suffix}`,
  };
}

export function cookiesConfiguration(context: TenantContext) {
  const { session, interaction, resume } = cookieNames(context);
  const options = {
    httpOnly: true,
    sameSite: 'lax',
    secure: context.publicUrl.startsWith('https://'),
  } as const;
  return {
    names: { session, interaction, resume },
    long: { ...options, path: '/' },
    short: options,
    keys: cookieKeys(context),
  };
}

/** The newest key signs, all of them verify. */
export function cookieKeys({ keyRing }: Pick<TenantContext, 'keyRing'>): string[] {
  return keyRing.ids.map((id) => keyRing.derive('cookie-signature', id).toString('base64url'));
}
