with customers as (

    select * from {{ ref('int_customers__cleaned') }}

),

countries as (

    select * from {{ ref('countries') }}

),

joined as (

    select
        customers.customer_key,
        customers.customer_id,
        customers.customer_name,
        customers.email,
        customers.country,
        customers.signup_date,
        customers.segment,
        coalesce(countries.country_name, 'unknown') as country_name,
        coalesce(countries.region, 'unknown') as region
    from customers
    left join countries
        on customers.country = countries.country

)

select * from joined
