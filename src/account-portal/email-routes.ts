import { z } from 'zod';
import { AppError } from '../lib/errors.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { parseEmail } from '../users/email-address.ts';
import type { Portal } from './portal.ts';
import { seeOther } from '../http/see-other.ts';
import type { SectionDeps } from './portal-routes.ts';

type Purpose = 'change' | 'verify';
type Fault = 'malformed' | 'wrong_code' | 'taken' | 'too_many';

const codeField = { code: z.string().max(64).default('') };

/** Another e-mail address, and the proof that one reads the address there is. Only where mail can be sent. */
export function emailRoutes({ router, doors, show, emailChange, emailVerification }: SectionDeps): void {
  if (!emailChange || !emailVerification) return;

  router.get(
    '/email',
    doors.page((ctx, portal) => showAddress(ctx, portal), { isSensitive: true }),
  );

  router.post(
    '/email',
    doors.form(
      { fields: { email: z.string().max(320).default('') }, page: '/email', isSensitive: true },
      async (ctx, portal, { email }) => {
        const newEmail = parseEmail(email);
        if (newEmail === undefined) return showAddress(ctx, portal, 'malformed', email);
        const outcome = await emailChange.start(portal.actor, {
          userId: portal.user.id,
          newEmail,
          binding: bindingOf(portal, 'change'),
          locale: ctx.state.language.translator().locale,
        });
        if (outcome.ok) return seeOther(ctx, `${portal.basePath}/email/change`);
        ctx.set('Retry-After', String(outcome.retryAfterSeconds));
        showAddress(ctx, portal, 'too_many', email);
      },
    ),
  );

  router.post(
    '/email/send',
    doors.form({ fields: {}, page: '/profile' }, async (ctx, portal) => {
      const outcome = await emailVerification.start(portal.actor, {
        email: portal.user.email,
        binding: bindingOf(portal, 'verify'),
        locale: ctx.state.language.translator().locale,
      });
      if (outcome.ok) return seeOther(ctx, `${portal.basePath}/email/verify`);
      ctx.set('Retry-After', String(outcome.retryAfterSeconds));
      showCode(ctx, portal, 'verify', 'too_many');
    }),
  );

  router.get(
    '/email/change',
    doors.page((ctx, portal) => showCode(ctx, portal, 'change'), { isSensitive: true }),
  );
  router.get(
    '/email/verify',
    doors.page((ctx, portal) => showCode(ctx, portal, 'verify')),
  );

  router.post(
    '/email/change',
    doors.form(
      { fields: codeField, page: '/email/change', isSensitive: true },
      async (ctx, portal, { code }) => {
        const binding = bindingOf(portal, 'change');
        try {
          const proof = await emailChange.confirm(portal.actor, { userId: portal.user.id, binding, code });
          if (proof.ok) return seeOther(ctx, `${portal.basePath}/profile?done=email`);
          showCode(ctx, portal, 'change', 'wrong_code');
        } catch (err) {
          if (!(err instanceof AppError) || err.code !== 'user.email_taken') throw err;
          showCode(ctx, portal, 'change', 'taken');
        }
      },
    ),
  );

  router.post(
    '/email/verify',
    doors.form({ fields: codeField, page: '/email/verify' }, async (ctx, portal, { code }) => {
      const proof = await emailVerification.confirm(portal.actor, {
        binding: bindingOf(portal, 'verify'),
        code,
      });
      if (proof.ok) return seeOther(ctx, `${portal.basePath}/profile?done=email`);
      showCode(ctx, portal, 'verify', 'wrong_code');
    }),
  );

  function showAddress(ctx: TenantRequestContext, portal: Portal, fault?: Fault, typed = ''): void {
    show(ctx, portal, {
      view: 'email',
      section: 'profile',
      status: statusOf(fault),
      locals: { fault: fault ?? null, typed },
    });
  }

  function showCode(ctx: TenantRequestContext, portal: Portal, purpose: Purpose, fault?: Fault): void {
    show(ctx, portal, {
      view: 'email-code',
      section: 'profile',
      status: statusOf(fault),
      locals: { purpose, fault: fault ?? null },
    });
  }
}

function statusOf(fault: Fault | undefined): number {
  if (fault === undefined) return 200;
  return fault === 'too_many' ? 429 : 422;
}

/** Nobody but this session can try the code. */
function bindingOf({ sessionUid }: Portal, purpose: Purpose): string {
  return `account-email-${purpose}:${sessionUid}`;
}
