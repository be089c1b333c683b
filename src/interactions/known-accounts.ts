import { z } from 'zod';
import type { AppContext } from '../http/request-state.ts';
import type { Clock } from '../lib/clock.ts';
import { cookieNames } from '../oidc/configuration/cookies.ts';
import type { TenantContext } from '../oidc/provider-deps.ts';

/**
 * Who signed in on this browser before, for the account chooser. A sealed cookie: it proves nothing and
 * opens nothing, it only saves typing. It holds ids, so a renamed or deleted account is never shown stale.
 */
export interface RememberedAccount {
  id: string;
  lastUsedAt: Date;
}

export const MOST_ACCOUNTS = 5;
const KEPT_MS = 365 * 86_400_000;

const cookieSchema = z.array(z.object({ id: z.string(), at: z.number() }));

export function createKnownAccounts(context: TenantContext, { now }: { now: Clock }) {
  const { sealer, tenant, publicUrl } = context;
  const cookieName = cookieNames(context).accounts;
  const secure = publicUrl.startsWith('https://');
  const place = `cookie:accounts:${tenant.id}`;

  /** Who signed in last comes first. */
  function read(ctx: Pick<AppContext, 'cookies'>): RememberedAccount[] {
    const sealed = ctx.cookies.get(cookieName, { signed: false });
    if (!sealed) return [];
    try {
      return cookieSchema
        .parse(JSON.parse(sealer.open(sealed, place)))
        .map(({ id, at }) => ({ id, lastUsedAt: new Date(at) }));
    } catch {
      // Made up, or sealed under a key that is gone: a cookie that says nothing.
      return [];
    }
  }

  function write(ctx: AppContext, accounts: readonly RememberedAccount[]): void {
    const options = {
      signed: false,
      httpOnly: true,
      sameSite: 'lax',
      secure,
      path: '/',
      overwrite: true,
    } as const;
    if (accounts.length === 0) {
      ctx.cookies.set(cookieName, null, options);
      return;
    }
    const content = accounts.map(({ id, lastUsedAt }) => ({ id, at: lastUsedAt.getTime() }));
    ctx.cookies.set(cookieName, sealer.seal(JSON.stringify(content), place), { ...options, maxAge: KEPT_MS });
  }

  return {
    read,
    remember(ctx: AppContext, id: string): void {
      const others = read(ctx).filter((account) => account.id !== id);
      write(ctx, [{ id, lastUsedAt: now() }, ...others].slice(0, MOST_ACCOUNTS));
    },
    forget(ctx: AppContext, id: string): void {
      write(
        ctx,
        read(ctx).filter((account) => account.id !== id),
      );
    },
  };
}

export type KnownAccounts = ReturnType<typeof createKnownAccounts>;
