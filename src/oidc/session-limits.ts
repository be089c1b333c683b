import { SESSION_ABSOLUTE_SECONDS } from '../sessions/session.ts';
import type { TenantContext } from './provider-deps.ts';

/** How long a session of the tenant lives: when nobody uses it, and however much it is used. */
export function sessionLimits({ tenant, settings }: Pick<TenantContext, 'tenant' | 'settings'>) {
  return {
    idleSeconds: tenant.settings.sessionIdleSeconds ?? settings.sessionIdleSeconds,
    absoluteSeconds: tenant.settings.sessionAbsoluteSeconds ?? SESSION_ABSOLUTE_SECONDS,
  };
}
