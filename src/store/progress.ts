/** Long work tells how far it is: what it does, and how many of how many it has done. */
export type Progress = (what: string, done: number, all: number) => void;
