import type Provider from 'oidc-provider';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';

interface SessionClass {
  prototype: { resetIdentifier: () => void };
}

interface EngineSession {
  accountId?: string;
  loginTs?: number;
}

/**
 * A session gets a new id when somebody signs in (ASVS 7.2.4). The engine changes it after every
 * interaction; where only a consent was given that protects nothing, and it would cut off the other tab,
 * whose request left with the old cookie.
 */
export function extendSessionIds(provider: Provider): void {
  const { prototype } = provider.Session as unknown as SessionClass;
  const reset = prototype.resetIdentifier;

  prototype.resetIdentifier = function (this: EngineSession & SessionClass['prototype']) {
    const before = currentUnitOfWork()?.session?.stored.payload;
    const isSameLogin =
      before?.accountId !== undefined &&
      before.accountId === this.accountId &&
      before['loginTs'] === this.loginTs;
    if (!isSameLogin) reset.call(this);
  };
}
