import type Provider from 'oidc-provider';
import { successorId } from '../adapter/refresh-successor.ts';
import { ID_PREFIX } from '../adapter/stored-model.ts';
import { drawId, slotAt, slotSecondsOf } from '../adapter/token-slots.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';

interface Token {
  format?: string;
  /** Seconds it will live. */
  expiration: number;
}

interface TokenModel {
  prototype: { generateTokenId: (this: Token) => string };
}

/**
 * Gives opaque ids their prefix and the ending that puts their row into the right slot, and a rotated
 * refresh token the id that derives from its parent.
 */
export function extendTokenIds(provider: Provider, { keyRing, settings }: TenantContext): void {
  for (const [name, prefix] of Object.entries(ID_PREFIX)) {
    const model = provider[name as keyof Provider] as unknown as TokenModel;
    const slotSeconds = slotSecondsOf(name, settings);
    const generate = model.prototype.generateTokenId;
    model.prototype.generateTokenId = function () {
      const id = generate.call(this);
      // A JWT's id is not what the client holds, and no row has it.
      if (this.format === 'jwt') return id;
      const seconds = name === 'RefreshToken' ? settings.refreshAbsoluteSeconds : this.expiration;
      return drawId(`${prefix}${id}`, slotAt(Date.now() / 1000 + seconds, slotSeconds));
    };
  }

  const refreshToken = provider.RefreshToken as unknown as TokenModel;
  const generate = refreshToken.prototype.generateTokenId;
  refreshToken.prototype.generateTokenId = function () {
    const unit = currentUnitOfWork();
    if (unit?.rotatedTokenId === undefined) return generate.call(this);
    return unit.repeatedSuccessorId ?? successorId(keyRing, unit.rotatedTokenId);
  };
}
