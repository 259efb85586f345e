// Buffer's direct methods: real and stable in Node, missing from its types, and twice as fast as toString().
declare global {
  interface Buffer {
    utf8Slice(start: number, end: number): string;
    latin1Slice(start: number, end: number): string;
    utf8Write(text: string, at: number, length: number): number;
  }
}

export {};
