import type { StreamStatus } from "everstream/client";
import { useEffect, useState } from "react";
import { AwayError } from "./json.ts";

/**
 * What is wrong, for people to read, and how it is set. That the server is away is so until the stream is open again;
 * anything else, what the server has against a question for one, until it is set anew.
 */
export function useProblem({ state }: StreamStatus): [string | undefined, (error?: Error) => void] {
  const [error, setError] = useState<Error>();
  const isConnected = state === "open";
  useEffect(() => {
    if (isConnected) setError((known) => (known instanceof AwayError ? undefined : known));
  }, [isConnected]);
  return [error?.message, setError];
}
