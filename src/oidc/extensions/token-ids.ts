import type Provider from 'oidc-provider';
import { successorIds } from '../adapter/refresh-successor.ts';
import { ID_PREFIX } from '../adapter/stored-model.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';

interface TokenModel {
  prototype: { generateTokenId: (this: { format?: string }) => string };
}

/** Gives opaque ids their prefix, and a rotated refresh token the id that derives from its parent. */
export function extendTokenIds(provider: Provider, { keyRing }: TenantContext): void {
  for (const [name, prefix] of Object.entries(ID_PREFIX)) {
    const model = provider[name as keyof Provider] as unknown as TokenModel;
    const generate = model.prototype.generateTokenId;
    model.prototype.generateTokenId = function () {
      const id = generate.call(this);
      // A JWT's id is not what the client holds.
      return this.format === 'jwt' ? id : `${prefix}${id}`;
    };
  }

  const refreshToken = provider.RefreshToken as unknown as TokenModel;
  const generate = refreshToken.prototype.generateTokenId;
  refreshToken.prototype.generateTokenId = function () {
    const unit = currentUnitOfWork();
    if (unit?.rotatedTokenId === undefined) return generate.call(this);
    return unit.repeatedSuccessorId ?? successorIds(keyRing, unit.rotatedTokenId)[0];
  };
}
