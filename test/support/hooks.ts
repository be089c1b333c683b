import { closeSharedDatabase } from './database.ts';

export const mochaHooks = {
  async afterAll(): Promise<void> {
    await closeSharedDatabase();
  },
};
