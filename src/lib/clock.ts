/** The time as everything but the database sees it; tests pass their own. */
export type Clock = () => Date;

export const systemClock: Clock = () => new Date();

export const seconds = (amount: number): number => amount * 1000;
export const minutes = (amount: number): number => amount * 60_000;
export const days = (amount: number): number => amount * 86_400_000;

export function later(date: Date, milliseconds: number): Date {
  return new Date(date.getTime() + milliseconds);
}
