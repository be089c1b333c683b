import type { MailDelivery } from '../notifications/mail-delivery.ts';
import type { Job } from './job.ts';

/** Mails that are due again, and those that other processes have made: most are sent by whoever made them. */
export function createMailDeliveryJob({ delivery }: { delivery: Pick<MailDelivery, 'deliverDue'> }): Job {
  return { name: 'mail-delivery', everySeconds: 2, run: (signal) => delivery.deliverDue(signal) };
}
