import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import type { PasswordReset } from '../recovery/password-reset.ts';
import type { SignInCode } from '../recovery/sign-in-code.ts';
import type { SignUp } from '../sign-up/sign-up.ts';
import type { TenantSettings } from '../tenants/tenant-settings.ts';
import { parseEmail } from '../users/email-address.ts';
import type { LoginState } from './login-state.ts';
import { RESEND_SECONDS } from './mailed-state.ts';
import type { MailedError, MailedScreen, MailedState } from './mailed-state.ts';
import type { StepOutcome } from './sign-in-steps.ts';

/**
 * One function a screen of recovery, sign-up and signing in by code: like sign-in-steps.ts they judge an answer
 * and leave what comes next to dispatch. What a code is bound to is the interaction, whose cookie is in one
 * browser alone.
 */
export interface MailedDeps {
  passwordReset: PasswordReset;
  signInCode: SignInCode;
  signUp: SignUp;
  now: Clock;
}

export interface MailedRequest {
  actor: Actor;
  uid: string;
  locale: string;
  settings: TenantSettings;
}

type Purpose = MailedState['purpose'];

/** Where each way begins, and where its proof leads. */
const FIRST: Readonly<Record<Purpose, MailedScreen>> = {
  password_reset: 'forgot',
  sign_in: 'email_code',
  sign_up: 'sign_up',
};
const AFTER_PROOF = { password_reset: 'new_password', sign_up: 'sign_up_profile' } as const;
const MOST_TYPED = 320;

const FIELD_MISSING = { code: 'sign_up.field_missing', message: 'Fill in this field.' };
const FIELD_UNUSABLE = {
  code: 'sign_up.field_unusable',
  message: 'This cannot be stored; write it shorter, as one line of plain text.',
};

/** Sends the code. @param typed an address as it was typed, or as the state has it */
export async function sendStep(
  state: LoginState,
  { purpose, typed }: { purpose: Purpose; typed: string },
  request: MailedRequest,
  deps: MailedDeps,
): Promise<StepOutcome> {
  const { mailedError: _error, error: _loginError, ...rest } = state;
  const retry = (mailedError: MailedError): StepOutcome => ({
    kind: 'retry',
    state: {
      ...rest,
      step: FIRST[purpose],
      typed: typed.trim().slice(0, MOST_TYPED).toWellFormed(),
      mailedError,
    },
  });
  if (typed.trim() === '') return retry({ reason: 'email_missing' });
  const email = parseEmail(typed);
  if (!email) return retry({ reason: 'email_malformed' });

  const refusal = await send(purpose, email, state.clientId, request, deps);
  if (refusal) return retry(refusal);
  const { typed: _typed, ...known } = rest;
  const mailed = { purpose, email, sentAt: deps.now().getTime(), isProved: false };
  return { kind: 'advance', state: { ...known, step: 'code', email, mailed } };
}

async function send(
  purpose: Purpose,
  email: string,
  clientId: string,
  { actor, uid, locale, settings }: MailedRequest,
  { passwordReset, signInCode, signUp }: MailedDeps,
): Promise<MailedError | undefined> {
  const request = { email, binding: uid, interactionUid: uid, locale, clientId };
  const sent =
    purpose === 'password_reset'
      ? await passwordReset.start(actor, request)
      : purpose === 'sign_in'
        ? await signInCode.start(actor, request)
        : await signUp.start(actor, settings, request);
  if (sent.ok) return undefined;
  if ('retryAfterSeconds' in sent)
    return { reason: 'mails_throttled', retryAfterSeconds: sent.retryAfterSeconds };
  return { reason: 'domain_not_allowed' };
}

/** Sends another code in place of the last one, unless that one is hardly on its way. */
export async function resendStep(
  state: LoginState,
  mailed: MailedState,
  request: MailedRequest,
  deps: MailedDeps,
): Promise<StepOutcome> {
  const { mailedError: _error, ...rest } = state;
  const back = (mailedError?: MailedError): StepOutcome => ({
    kind: 'retry',
    state: { ...rest, step: 'code', ...(mailedError ? { mailedError } : {}) },
  });
  if (deps.now().getTime() < mailed.sentAt + RESEND_SECONDS * 1000) return back();
  const refusal = await send(mailed.purpose, mailed.email, state.clientId, request, deps);
  if (refusal) return back(refusal);
  return {
    kind: 'advance',
    state: { ...rest, step: 'code', mailed: { ...mailed, sentAt: deps.now().getTime() } },
  };
}

export async function codeStep(
  state: LoginState,
  mailed: MailedState,
  { code, isKnownBrowser }: { code: string; isKnownBrowser: boolean },
  { actor, uid }: MailedRequest,
  { passwordReset, signInCode, signUp }: MailedDeps,
): Promise<StepOutcome> {
  const retry = (mailedError: MailedError): StepOutcome => ({
    kind: 'retry',
    state: { ...state, step: 'code', mailedError },
  });
  if (code.trim() === '') return retry({ reason: 'code_missing' });

  if (mailed.purpose === 'sign_in') {
    const { email } = mailed;
    const outcome = await signInCode.verify(actor, { email, binding: uid, code, isKnownBrowser });
    if (outcome.ok) return { kind: 'authenticated', user: outcome.user, methods: ['otp'] };
    if (outcome.reason === 'throttled')
      return retry({ reason: 'tries_throttled', retryAfterSeconds: outcome.retryAfterSeconds });
    return retry({ reason: `code_${outcome.reason}` });
  }
  const checked =
    mailed.purpose === 'password_reset'
      ? await passwordReset.check(actor, { binding: uid, code, isKnownBrowser })
      : await signUp.check(actor, { binding: uid, code });
  if (checked.ok) return proved(state, mailed);
  if (checked.reason === 'throttled')
    return retry({ reason: 'tries_throttled', retryAfterSeconds: checked.retryAfterSeconds });
  return retry({ reason: `code_${checked.reason}` });
}

/** The button of the link's page, pressed in the browser that asked for the mail. */
export async function linkStep(
  state: LoginState,
  mailed: MailedState,
  token: string,
  { actor, uid }: MailedRequest,
  { passwordReset, signInCode, signUp }: MailedDeps,
): Promise<StepOutcome> {
  const link = { binding: uid, token };
  if (mailed.purpose === 'sign_in') {
    const user = await signInCode.verifyLink(actor, link);
    if (user) return { kind: 'authenticated', user, methods: ['otp'] };
  } else {
    const service = mailed.purpose === 'password_reset' ? passwordReset : signUp;
    if (await service.checkLink(actor, link)) return proved(state, mailed);
  }
  return { kind: 'retry', state: { ...state, step: 'code', mailedError: { reason: 'link_expired' } } };
}

function proved(state: LoginState, mailed: MailedState): StepOutcome {
  const { mailedError: _error, ...rest } = state;
  const { purpose } = mailed;
  const step = purpose === 'sign_in' ? 'code' : AFTER_PROOF[purpose];
  return { kind: 'advance', state: { ...rest, step, mailed: { ...mailed, isProved: true } } };
}

export async function newPasswordStep(
  state: LoginState,
  answer: { password: string; endsAccess: boolean },
  { actor, uid, locale }: MailedRequest,
  { passwordReset }: MailedDeps,
): Promise<StepOutcome> {
  return chosen(state, 'new_password', async () => {
    const { user } = await passwordReset.complete(actor, { binding: uid }, { ...answer, locale });
    return user;
  });
}

export async function signUpProfileStep(
  state: LoginState,
  account: { password: string; claims: Record<string, string> },
  { actor, uid }: MailedRequest,
  { signUp }: MailedDeps,
): Promise<StepOutcome> {
  const { mailed } = state;
  const kept = mailed ? { ...state, mailed: { ...mailed, claims: account.claims } } : state;
  const missing = Object.keys(account.claims).filter((name) => account.claims[name]?.trim() === '');
  if (missing.length > 0) {
    const faults = missing.map((name) => ({ path: `/claims/${name}`, ...FIELD_MISSING }));
    return {
      kind: 'retry',
      state: { ...kept, step: 'sign_up_profile', mailedError: { reason: 'fields', faults } },
    };
  }
  return chosen(kept, 'sign_up_profile', () => signUp.complete(actor, uid, account));
}

/** A password was chosen: what is wrong with it is told at its field, and what was proved ends at its first use. */
async function chosen(
  state: LoginState,
  step: 'new_password' | 'sign_up_profile',
  work: () => ReturnType<SignUp['complete']>,
): Promise<StepOutcome> {
  const { mailedError: _error, mailed, ...rest } = state;
  try {
    return { kind: 'authenticated', user: await work(), methods: ['pwd'] };
  } catch (err) {
    if (!(err instanceof AppError)) throw err;
    const retry = (mailedError: MailedError): StepOutcome => ({
      kind: 'retry',
      state: { ...rest, mailed, step, mailedError },
    });
    if (err.code === 'password.busy') return retry({ reason: 'busy' });
    if (err.errors.length > 0) return retry({ reason: 'fields', faults: err.errors.map(toFault) });
    if (err.code === 'sign_up.existing') return { kind: 'advance', state: { ...rest, step: 'password' } };
    if (err.status !== 410 || !mailed) throw err;
    // It took too long, or another tab was faster: the way begins anew.
    return {
      kind: 'retry',
      state: { ...rest, step: FIRST[mailed.purpose], mailedError: { reason: 'link_expired' } },
    };
  }
}

export function toFault({ path, message, code, values }: AppError['errors'][number]) {
  if (path.startsWith('/claims/')) return { path, ...FIELD_UNUSABLE };
  return {
    path,
    message,
    ...(code === undefined ? {} : { code }),
    ...(values ? { values: { ...values } } : {}),
  };
}
