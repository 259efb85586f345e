/** The window: draws what `layout` says, and turns keys into events. */
import { Box, render, Text, useApp, useInput, useWindowSize } from 'ink';
import { useEffect, useState, useSyncExternalStore } from 'react';
import { isColourWanted } from '../text/paint.ts';
import type { TopFeed } from './feed.ts';
import { type Line, layout } from './layout.ts';
import { type KeyName, keyMap } from './model.ts';

/** Opens the window and resolves when it is closed. */
export async function openScreen(feed: TopFeed): Promise<void> {
  const window = render(<Screen feed={feed} />, {
    alternateScreen: true,
    // The caller has looked that this is a terminal; Ink itself would draw nothing where CI is set.
    interactive: true,
    incrementalRendering: true,
    patchConsole: false,
  });
  await window.waitUntilExit();
}

export function Screen({ feed }: { readonly feed: TopFeed }) {
  const state = useSyncExternalStore(feed.subscribe, feed.current);
  const { columns, rows } = useWindowSize();
  const { exit } = useApp();
  const nowMs = useNow(1000);
  useInput((input, key) => {
    const name = keyNamed(input, key);
    if (name === 'quit') exit();
    else if (name !== undefined) feed.send({ kind: 'key', name });
  });
  return (
    <Box flexDirection="column" width={columns}>
      {layout(state, columns, rows - 1, nowMs).map((line, at) => (
        <Row key={`row ${at}`} line={line} />
      ))}
    </Box>
  );
}

function Row({ line }: { readonly line: Line }) {
  return (
    <Text wrap="truncate">
      {line.map(({ text, color, bold = false, dim = false, inverse = false }, at) => (
        <Text
          key={`span ${at}`}
          bold={bold}
          dimColor={dim}
          inverse={inverse}
          {...(color === undefined || !isColourWanted() ? {} : { color })}
        >
          {text === '' ? ' ' : text}
        </Text>
      ))}
    </Text>
  );
}

function keyNamed(input: string, key: object): KeyName | undefined {
  const pressed = keyMap.find(({ keys }) =>
    keys.some((one) => one === input || (key as Readonly<Record<string, boolean>>)[one] === true),
  );
  return pressed?.name;
}

/** Monotonic time, anew every `everyMs`, so that ages go on while nothing comes. */
function useNow(everyMs: number): number {
  const [nowMs, setNowMs] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(performance.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return Math.max(nowMs, performance.now());
}
