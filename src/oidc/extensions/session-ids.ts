import type Provider from 'oidc-provider';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';

interface SessionClass {
  get: (ctx: unknown) => Promise<EngineSession>;
  prototype: { resetIdentifier: () => void; loginAccount: (details: Login) => void };
}

interface EngineSession {
  accountId?: string;
  loginTs?: number;
  /** Of a session that was stored. */
  exp?: number;
}

interface Login {
  accountId: string;
  loginTs?: number;
}

/**
 * A session gets a new id when somebody signs in (ASVS 7.2.4), and at no other time: requests of other tabs
 * are under way with the old one.
 */
export function extendSessionIds(provider: Provider): void {
  const Session = provider.Session as unknown as SessionClass;
  const { prototype } = Session;
  const { get } = Session;
  const { resetIdentifier: reset, loginAccount: login } = prototype;

  /**
   * A cookie without a session is left alone. The engine answers it with a new one at once; to a request
   * that left before a sign-in in another tab that would end what the sign-in began.
   */
  Session.get = async function (ctx) {
    const session = await get.call(this, ctx);
    if (session.exp === undefined) Object.defineProperty(session, 'new', { value: true });
    return session;
  };

  /** The consent brings the sign-in before it once more; another tab may have seen a later one since. */
  prototype.loginAccount = function (this: EngineSession, details) {
    const isKnown =
      this.accountId === details.accountId && (details.loginTs ?? Infinity) < (this.loginTs ?? -Infinity);
    if (!isKnown) login.call(this as typeof prototype, details);
  };

  /** The engine changes the id after every interaction, also where only a consent was given. */
  prototype.resetIdentifier = function (this: EngineSession & SessionClass['prototype']) {
    const unit = currentUnitOfWork();
    const before = unit?.session?.stored.payload;
    const isSameLogin =
      before?.accountId !== undefined &&
      before.accountId === this.accountId &&
      before['loginTs'] === this.loginTs;
    const isOnlyConsent = isSameLogin && unit?.signsIn !== true;
    if (!isOnlyConsent) reset.call(this);
  };
}
