package policy

import (
	"slices"
	"sync"
	"time"

	"pullprint/policy/quota"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// CEL's own getHours("Europe/Zurich") reads the zone from the disk at each
// evaluation, and a zone misspelt fails at the first job. Here a zone is a
// literal: it is loaded, and refused, with the policy.

// clock is one reading of a timestamp in a zone, as now.getHours("Europe/Zurich").
type clock struct {
	name     string
	overload string
	read     func(time.Time) int
}

var clocks = []clock{
	{overloads.TimeGetFullYear, overloads.TimestampToYearWithTz, time.Time.Year},
	{overloads.TimeGetMonth, overloads.TimestampToMonthWithTz, func(t time.Time) int { return int(t.Month()) - 1 }},
	{overloads.TimeGetDayOfYear, overloads.TimestampToDayOfYearWithTz, func(t time.Time) int { return t.YearDay() - 1 }},
	{overloads.TimeGetDayOfMonth, overloads.TimestampToDayOfMonthZeroBasedWithTz, func(t time.Time) int {
		return t.Day() - 1
	}},
	{overloads.TimeGetDate, overloads.TimestampToDayOfMonthOneBasedWithTz, time.Time.Day},
	{overloads.TimeGetDayOfWeek, overloads.TimestampToDayOfWeekWithTz, func(t time.Time) int { return int(t.Weekday()) }},
	{overloads.TimeGetHours, overloads.TimestampToHoursWithTz, time.Time.Hour},
	{overloads.TimeGetMinutes, overloads.TimestampToMinutesWithTz, time.Time.Minute},
	{overloads.TimeGetSeconds, overloads.TimestampToSecondsWithTz, time.Time.Second},
	{overloads.TimeGetMilliseconds, overloads.TimestampToMillisecondsWithTz, func(t time.Time) int {
		return t.Nanosecond() / 1e6
	}},
}

// zones are those that some expression named. They never change, and there are
// only so many of them.
var zones sync.Map // string to *time.Location

// loadZone makes a zone known to evaluation: Europe/Zurich, or +01:00.
func loadZone(name string) error {
	if _, known := zones.Load(name); known {
		return nil
	}
	loc, err := quota.LoadZone(name)
	if err != nil {
		return err
	}
	zones.Store(name, loc)
	return nil
}

// stdlib is CEL's standard library with our readings of zones in place of its own.
func stdlib() []cel.EnvOption {
	var theirs []*env.Function
	var ours []cel.EnvOption
	for _, c := range clocks {
		theirs = append(theirs, env.NewFunction(c.name, env.NewOverload(c.overload, nil, nil)))
		ours = append(ours, cel.Function(c.name,
			cel.MemberOverload(c.overload, []*cel.Type{cel.TimestampType, cel.StringType}, cel.IntType,
				cel.BinaryBinding(c.in))))
	}
	return append([]cel.EnvOption{cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{ExcludeFunctions: theirs}))}, ours...)
}

func (c clock) in(at, zone ref.Val) ref.Val {
	t, ok := at.(types.Timestamp)
	name, ok2 := zone.(types.String)
	if !ok || !ok2 {
		return types.MaybeNoSuchOverloadErr(at)
	}
	loc, _ := zones.Load(string(name))
	l, ok := loc.(*time.Location)
	if !ok {
		return types.NewErr("unknown time zone")
	}
	return types.Int(c.read(t.In(l)))
}

// zoneLiterals is a cel.ASTValidator: each time zone is written out and exists.
type zoneLiterals struct{}

// Name implements cel.ASTValidator.
func (zoneLiterals) Name() string { return "pullprint.zones" }

// Validate implements cel.ASTValidator.
func (zoneLiterals) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, iss *cel.Issues) {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || !isClock(e.AsCall().FunctionName()) || len(e.AsCall().Args()) != 1 {
			return
		}
		arg := e.AsCall().Args()[0]
		if arg.Kind() != ast.LiteralKind {
			iss.ReportErrorAtID(arg.ID(), "a time zone has to be written out, as \"Europe/Zurich\"")
			return
		}
		name, ok := arg.AsLiteral().(types.String)
		if !ok {
			return // the type check has said so
		}
		if err := loadZone(string(name)); err != nil {
			iss.ReportErrorAtID(arg.ID(), "%s", err)
		}
	}))
}

func isClock(function string) bool {
	return slices.ContainsFunc(clocks, func(c clock) bool { return c.name == function })
}
