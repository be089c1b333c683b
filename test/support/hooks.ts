import { closeDatabases } from './database.ts';

export const mochaHooks = {
  async afterAll(): Promise<void> {
    await closeDatabases();
  },
};
