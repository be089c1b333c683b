/**
 * Who does something, as services and the audit trail see it. Services take an actor instead of a
 * request, so they work alike for screens, the API, the command line and jobs.
 */
export interface Actor {
  tenantId: string;
  type: 'user' | 'client' | 'operator' | 'system' | 'anonymous';
  /** The user's or client's id; absent for an operator on the command line and for anonymous visitors. */
  id?: string | undefined;
  ip?: string | undefined;
  userAgent?: string | undefined;
  /** Ties the event to the request's log lines and error page. */
  correlationId?: string | undefined;
}

/** Whether it is the user who does it. */
export function isSelf({ type, id }: Actor, userId: string): boolean {
  return type === 'user' && id === userId;
}

export function systemActor(tenantId: string): Actor {
  return { tenantId, type: 'system' };
}
