// pgx 5: every query mode, batches, the pool, COPY, cancellation by context. One JSON line per check, as report.py has it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const slow = "SELECT count(*) FROM generate_series(1, 100000) AS a(i), generate_series(1, 100000) AS b(j), generate_series(1, 1000) AS c(k) WHERE i + j + k < 0"
const checkTimeout = 20 * time.Second

type check struct {
	name string
	run  func(ctx context.Context, uri string) (bool, any, error)
}

func failure(err error) any {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return []any{pgErr.Code, pgErr.Severity, pgErr.Message, pgErr.Position}
	}
	return fmt.Sprint(err)
}

func values(rows pgx.Rows, err error) ([]any, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (any, error) {
		found, err := row.Values()
		return fmt.Sprintf("%v", found), err
	})
}

func withConn(run func(ctx context.Context, conn *pgx.Conn) (bool, any, error)) func(context.Context, string) (bool, any, error) {
	return func(ctx context.Context, uri string) (bool, any, error) {
		conn, err := pgx.Connect(ctx, uri)
		if err != nil {
			return false, nil, err
		}
		defer conn.Close(context.Background())
		return run(ctx, conn)
	}
}

func inMode(mode pgx.QueryExecMode) func(context.Context, string) (bool, any, error) {
	return withConn(func(ctx context.Context, conn *pgx.Conn) (bool, any, error) {
		got := []any{}
		for _, n := range []int{1, 2, 1} {
			found, err := values(conn.Query(ctx, "SELECT n, label FROM clients.numbers WHERE n = $1 OR label = $2 ORDER BY n", mode, n, "label 9"))
			if err != nil {
				return false, nil, err
			}
			got = append(got, found)
		}
		kinds, err := values(conn.Query(ctx, "SELECT id, flag, small, big, real8, exact, name, day, moment, uid, blob, ints, words FROM clients.kinds WHERE id < $1 ORDER BY id", mode, 10))
		return len(kinds) == 3, append(got, kinds), err
	})
}

func batch(ctx context.Context, conn *pgx.Conn) (bool, any, error) {
	queued := &pgx.Batch{}
	for n := 1; n <= 5; n++ {
		queued.Queue("SELECT label FROM clients.numbers WHERE n = $1", n)
	}
	results := conn.SendBatch(ctx, queued)
	got := []any{}
	for range 5 {
		found, err := values(results.Query())
		if err != nil {
			return false, nil, err
		}
		got = append(got, found)
	}
	return len(got) == 5, got, results.Close()
}

func batchWithError(ctx context.Context, conn *pgx.Conn) (bool, any, error) {
	queued := &pgx.Batch{}
	queued.Queue("SELECT 1")
	queued.Queue("SELECT 1 / (n - 1) FROM clients.numbers WHERE n = $1", 1)
	queued.Queue("SELECT 3")
	results := conn.SendBatch(ctx, queued)
	got := []any{}
	for range 3 {
		found, err := values(results.Query())
		if err != nil {
			got = append(got, failure(err))
		} else {
			got = append(got, found)
		}
	}
	_ = results.Close()
	after, err := values(conn.Query(ctx, "SELECT 4"))
	return len(after) == 1, append(got, after), err
}

func copyTo(ctx context.Context, conn *pgx.Conn) (bool, any, error) {
	var sink bytes.Buffer
	tag, err := conn.PgConn().CopyTo(ctx, &sink, "COPY (SELECT n, label FROM clients.numbers WHERE n < 4 ORDER BY n) TO STDOUT (FORMAT csv)")
	return sink.Len() > 0, []any{tag.String(), sink.String()}, err
}

func pipeline(ctx context.Context, conn *pgx.Conn) (bool, any, error) {
	line := conn.PgConn().StartPipeline(ctx)
	line.SendPrepare("s", "SELECT label FROM clients.numbers WHERE n = $1", nil)
	line.SendQueryPrepared("s", [][]byte{[]byte("5")}, nil, nil)
	line.SendDeallocate("s")
	if err := line.Sync(); err != nil {
		return false, nil, err
	}
	got := []any{}
	for {
		found, err := line.GetResults()
		if err != nil {
			return false, nil, err
		}
		if found == nil {
			break
		}
		switch one := found.(type) {
		case *pgconn.ResultReader:
			read := one.Read()
			got = append(got, fmt.Sprintf("%s %s", read.Rows, read.CommandTag))
		case *pgconn.StatementDescription:
			got = append(got, fmt.Sprint(one.ParamOIDs, len(one.Fields)))
		default:
			got = append(got, fmt.Sprintf("%T", one))
		}
		if _, isSync := found.(*pgconn.PipelineSync); isSync {
			break
		}
	}
	return len(got) == 4, got, line.Close()
}

func transactions(ctx context.Context, conn *pgx.Conn) (bool, any, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return false, nil, err
	}
	nested, err := tx.Begin(ctx)
	if err != nil {
		return false, nil, err
	}
	_, wrong := values(nested.Query(ctx, "SELECT nope FROM clients.numbers"))
	if err := nested.Rollback(ctx); err != nil {
		return false, nil, err
	}
	inside, err := values(tx.Query(ctx, "SHOW transaction_isolation"))
	if err != nil {
		return false, nil, err
	}
	return true, []any{failure(wrong), inside, string(conn.PgConn().TxStatus())}, tx.Commit(ctx)
}

func cancellation(ctx context.Context, uri string) (bool, any, error) {
	config, err := pgxpool.ParseConfig(uri)
	if err != nil {
		return false, nil, err
	}
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return false, nil, err
	}
	defer pool.Close()
	short, cancel := context.WithTimeout(ctx, 700*time.Millisecond)
	defer cancel()
	_, slowErr := values(pool.Query(short, slow))
	after, err := values(pool.Query(ctx, "SELECT 1"))
	return errors.Is(slowErr, context.DeadlineExceeded), after, err
}

func cancelRequest(ctx context.Context, conn *pgx.Conn) (bool, any, error) {
	go func() {
		time.Sleep(700 * time.Millisecond)
		_ = conn.PgConn().CancelRequest(ctx)
	}()
	_, err := values(conn.Query(ctx, slow))
	after, afterErr := values(conn.Query(ctx, "SELECT 1"))
	return true, []any{failure(err), after}, afterErr
}

func poolUnderLoad(ctx context.Context, uri string) (bool, any, error) {
	pool, err := pgxpool.New(ctx, uri)
	if err != nil {
		return false, nil, err
	}
	defer pool.Close()
	done := make(chan error)
	for n := range 100 {
		go func() {
			found, err := values(pool.Query(ctx, "SELECT label FROM clients.numbers WHERE n = $1", n+1))
			if err == nil && (len(found) != 1 || found[0] != fmt.Sprintf("[label %d]", n+1)) {
				err = fmt.Errorf("wrong row %v", found)
			}
			done <- err
		}()
	}
	for range 100 {
		if err := <-done; err != nil {
			return false, nil, err
		}
	}
	return true, 100, nil
}

func errorsWithPosition(ctx context.Context, conn *pgx.Conn) (bool, any, error) {
	got := []any{}
	for _, text := range []string{"SELEC 1", "SELECT 'ü', nope FROM clients.numbers", "SELECT * FROM clients.nothing", "SELECT 1; SELECT 2"} {
		_, err := values(conn.Query(ctx, text))
		got = append(got, failure(err))
	}
	return true, got, nil
}

var checks = []check{
	{"mode cache statement", inMode(pgx.QueryExecModeCacheStatement)},
	{"mode cache describe", inMode(pgx.QueryExecModeCacheDescribe)},
	{"mode describe exec", inMode(pgx.QueryExecModeDescribeExec)},
	{"mode exec", inMode(pgx.QueryExecModeExec)},
	{"mode simple protocol", inMode(pgx.QueryExecModeSimpleProtocol)},
	{"batch", withConn(batch)},
	{"batch with an error", withConn(batchWithError)},
	{"copy to", withConn(copyTo)},
	{"pipeline", withConn(pipeline)},
	{"transactions and savepoints", withConn(transactions)},
	{"errors have state and position", withConn(errorsWithPosition)},
	{"context ends the query", cancellation},
	{"cancel request", withConn(cancelRequest)},
	{"pool under load", poolUnderLoad},
}

func main() {
	for _, one := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
		ok, got, err := one.run(ctx, os.Args[1])
		cancel()
		if err != nil {
			ok, got = false, failure(err)
		}
		line, err := json.Marshal(map[string]any{"name": one.name, "ok": ok, "got": got})
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}
