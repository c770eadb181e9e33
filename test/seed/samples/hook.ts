// @ts-nocheck: as users have it, whose projects may allow what is unused.
// biome-ignore-all lint/correctness/noUnusedImports: as users have it
import { useCallback, useEffect, useState } from "react";

export function useSSE<T>(url: string | null) {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [isConnected, setIsConnected] = useState(false);

  useEffect(() => {
    if (!url) return;

    const eventSource = new EventSource(url);

    eventSource.onopen = () => setIsConnected(true);

    eventSource.addEventListener("message", (e) => {
      try {
        setData(JSON.parse(e.data));
      } catch {
        setError(new Error("Failed to parse SSE data"));
      }
    });

    eventSource.onerror = () => {
      setError(new Error("SSE connection error"));
      setIsConnected(false);
      eventSource.close();
    };

    return () => {
      eventSource.close();
      setIsConnected(false);
    };
  }, [url]);

  return { data, error, isConnected };
}
