{#
    The value of a whole number in English words, 0 to 999,999; null when the words are no such number.

    Capitals, hyphens, commas, repeated spaces and "and" after hundred or thousand make no difference:
    "Two Hundred", "one hundred and twenty-five", "one thousand, two hundred". First a pattern decides whether
    the words are a number at all; then the words are added up, those before "thousand" a thousandfold.
#}
{% macro number_from_words(column) -%}
    {%- set ones = 'one|two|three|four|five|six|seven|eight|nine' -%}
    {%- set teens = 'ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen' -%}
    {%- set tens = '(twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)( (' ~ ones ~ '))?' -%}
    {%- set below_hundred = '(' ~ ones ~ '|' ~ teens ~ '|' ~ tens ~ ')' -%}
    {%- set hundreds = '(' ~ ones ~ ') hundred( (and )?' ~ below_hundred ~ ')?' -%}
    {%- set below_thousand = '(' ~ hundreds ~ '|' ~ below_hundred ~ ')' -%}
    {%- set number = below_thousand ~ '( thousand( (and )?' ~ below_thousand ~ ')?)?' -%}

    {#- `replace` and not a pattern: this expression is repeated below. Runs of up to eight blanks become one. -#}
    {%- set words = 'replace(replace(lower(' ~ column ~ "), '-', ' '), ',', ' ')" -%}
    {%- set words = 'trim(replace(replace(replace(' ~ words ~ ", '  ', ' '), '  ', ' '), '  ', ' '))" -%}
    {%- set plain = 'replace(' ~ words ~ ", ' and ', ' ')" -%}
    {%- set thousands = dbt.split_part(plain, "' thousand'", 1) -%}
    {%- set rest = 'trim(' ~ dbt.split_part(plain, "' thousand'", 2) ~ ')' -%}
    case
        when {{ matches(words, '^(zero|' ~ number ~ ')$') }}
            then
                case
                    when {{ words }} like '%thousand%'
                        then
                            1000 * ({{ _below_thousand_from_words(thousands) }})
                            + ({{ _below_thousand_from_words(rest) }})
                    else {{ _below_thousand_from_words(plain) }}
                end
    end
{%- endmacro %}


{# The value of up to "nine hundred ninety nine"; 0 for no words. #}
{% macro _below_thousand_from_words(words) -%}
    {%- set hundreds = dbt.split_part(words, "' hundred'", 1) -%}
    {%- set rest = 'trim(' ~ dbt.split_part(words, "' hundred'", 2) ~ ')' -%}
    case
        when {{ words }} like '%hundred%'
            then 100 * ({{ _word_value(hundreds) }}) + {{ _two_words_value(rest) }}
        else {{ _two_words_value(words) }}
    end
{%- endmacro %}


{% macro _two_words_value(words) -%}
    ({{ _word_value(dbt.split_part(words, "' '", 1)) }}) + ({{ _word_value(dbt.split_part(words, "' '", 2)) }})
{%- endmacro %}


{% macro _word_value(word) -%}
    {%- set values = [
        'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve',
        'thirteen', 'fourteen', 'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen',
    ] -%}
    {%- set tens = ['twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety'] -%}
    case {{ word }}
        {%- for value in values %} when '{{ value }}' then {{ loop.index }}{% endfor %}
        {%- for value in tens %} when '{{ value }}' then {{ 10 + 10 * loop.index }}{% endfor %}
        else 0
    end
{%- endmacro %}
